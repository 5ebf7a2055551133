"""Copy commands: one for each key by its name, or one for many keys of a series by a pattern that matches only those.

s5cmd sends a HEAD before the GET of each object that it copies by name. For a pattern it lists instead, a thousand keys
with one request (measured with v2.3.0). So wherever dates allow it, a command names a pattern. Of all dates of the
calendar it matches exactly the wanted ones, whatever else the bucket holds: the others of its month, or of its decade
for monthly objects, are excluded.
"""

from __future__ import annotations

import re
import shlex
from calendar import monthrange
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from crypto_archive.model import SIDECAR_SUFFIX
from crypto_archive.s5cmd.runfile import AS_S5CMD_LIKES, Parts, copy_line, is_inside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MOST_EXCLUDES = 31
"""The most patterns that one command excludes; months further apart than that get a command for each year."""
_ZIP, _SIDECAR = ".zip", f".zip{SIDECAR_SUFFIX}"
_BOTH = f"{_ZIP}*"
# Keys with signs that a pattern gives a meaning, and dates that are not written with two digits, are copied by name.
_DATED = re.compile(r"([^*?]+/[^*?/]*?)(\d{4}-\d\d(?:-\d\d)?)(\.zip(?:\.CHECKSUM)?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class CopyCommand:
    """A command of a run-file.

    Attributes:
        line: Its line.
        keys: The keys that it copies, each to the relative path of the same name.
        shown: The command as s5cmd repeats it in an error: without quotes and flags.
        by_pattern: Whether it copies what matches a pattern; a key that the bucket lacks is not reported then.
    """

    line: str
    keys: tuple[str, ...]
    shown: str
    by_pattern: bool = False


def copy_commands(bucket: str, keys: Iterable[str], parts: Parts = AS_S5CMD_LIKES) -> Iterator[CopyCommand]:
    """Yield commands that copy exactly these keys, by patterns wherever one copies several.

    Raises ValueError where a key cannot be written to a run-file.
    """
    spans: dict[tuple[str, str], dict[str, str]] = {}
    for key in keys:
        dated = _DATED.fullmatch(key)
        if dated is None or not _is_date(dated[2]) or not _is_inside(dated[1]):
            yield copy_by_name(bucket, key, parts)
            continue
        head, date, tail = dated.groups()
        tails = spans.setdefault((head, _span(date)), {})
        tails[date] = tail if tails.get(date, tail) == tail else _BOTH
    for (head, span), tails in spans.items():
        for tail in (_BOTH, _ZIP, _SIDECAR):
            wanted = [date for date, found in tails.items() if found == tail]
            if wanted:
                yield from _by_patterns(bucket, head, span, wanted, tail, parts)


def copy_by_name(bucket: str, key: str, parts: Parts = AS_S5CMD_LIKES) -> CopyCommand:
    """Return the command that copies one object; raises ValueError where its key cannot be written to a run-file."""
    return CopyCommand(copy_line(bucket, key, key, parts), (key,), f"cp s3://{bucket}/{key} {key}")


def copy_from_cdn(key: str, parts: Parts = AS_S5CMD_LIKES) -> CopyCommand:
    """Return the command that copies one object from a server without buckets, where a key is the path of its URL.

    The first folder of the key passes for the bucket. Raises ValueError as ``copy_by_name`` does.
    """
    bucket, _, rest = key.partition("/")
    return CopyCommand(copy_line(bucket, rest, key, parts), (key,), f"cp s3://{key} {key}")


def _by_patterns(
    bucket: str, head: str, span: str, wanted: list[str], tail: str, parts: Parts
) -> Iterator[CopyCommand]:
    """Yield a command for all wanted dates of a span, or one for each of its years if they are too far apart."""
    if tail != _BOTH and len(wanted) == 1:
        yield copy_by_name(bucket, f"{head}{wanted[0]}{tail}", parts)
        return
    pattern, excluded = (wanted[0], []) if len(wanted) == 1 else (span, sorted(_others(span, set(wanted))))
    if len(excluded) > MOST_EXCLUDES and "?" in span[:4]:
        for year in dict.fromkeys(date[:4] for date in wanted):
            of_year = [date for date in wanted if date.startswith(year)]
            yield from _by_patterns(bucket, head, f"{year}-??", of_year, tail, parts)
        return
    # The star stands for a sidecar's suffix and nothing else: s5cmd would write a key such as "….zip/../../x.zip", if a
    # server were to list it, outside of the folder. It compares whole keys (measured with v2.3.0).
    tails = (_ZIP, _SIDECAR) if tail == _BOTH else (tail,)
    only = "".join(f"--include {shlex.quote(f'{head}{pattern}{end}')} " for end in tails) if tail == _BOTH else ""
    but = "".join(f"--exclude '*{date}{tail}' " for date in excluded)
    source, folder = f"s3://{bucket}/{head}{pattern}{tail}", f"{head.rpartition('/')[0]}/"
    keys = tuple(f"{head}{date}{end}" for date in wanted for end in tails)
    line = f"cp {parts.flags}{only}{but}{shlex.quote(source)} {shlex.quote(folder)}"
    yield CopyCommand(line, keys, f"cp {source} {folder}", by_pattern=True)


_is_inside = lru_cache(maxsize=256)(is_inside)  # the keys of a series have one head


@cache
def _is_date(text: str) -> bool:
    """Whether a day or a month is one of the calendar."""
    year, month, *day = map(int, text.split("-"))
    return year > 0 and 1 <= month <= 12 and (not day or 1 <= day[0] <= monthrange(year, month)[1])


def _span(date: str) -> str:
    """Return the pattern of the dates around one: the days of its month, or the months of its decade."""
    return f"{date[:8]}??" if len(date) == 10 else f"{date[:3]}?-??"


def _others(span: str, wanted: Collection[str]) -> Iterator[str]:
    """Yield patterns of all dates of a span but the wanted ones, and of none of these."""
    if len(span) == 10:  # the days of a month, by tens
        month = span[:8]
        days = range(1, monthrange(int(span[:4]), int(span[5:7]))[1] + 1)
        parts = {ten: [f"{month}{day:02}" for day in days if day // 10 == ten] for ten in range(4)}
        whole = {ten: f"{month}{ten}?" for ten in parts}
    else:  # the months of a decade, or of one year, by years
        years = [span[:4]] if "?" not in span[:4] else [f"{span[:3]}{last}" for last in range(10)]
        parts = {int(year): [f"{year}-{month:02}" for month in range(1, 13)] for year in years}
        whole = {year: f"{year:04}-??" for year in parts}
    for part, dates in parts.items():
        unwanted = [date for date in dates if date not in wanted]
        if len(unwanted) == len(dates) > 0:
            yield whole[part]
        else:
            yield from unwanted
