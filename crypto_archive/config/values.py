"""Values as people write them: sizes, durations, days, spans, and s5cmd's options."""

from __future__ import annotations

import re
from calendar import monthrange
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from crypto_archive.errors import nearest
from crypto_archive.model import DateRange, Market

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from fractions import Fraction

MARKET_WORDS = {
    **{str(market): market for market in Market},
    **dict.fromkeys(("um", "usdm", "usd-m", "usd_m", "futures/um", "futures-um"), Market.FUTURES_UM),
    **dict.fromkeys(("cm", "coinm", "coin-m", "coin_m", "futures/cm", "futures-cm"), Market.FUTURES_CM),
    "option": Market.OPTIONS,
}
"""The words for markets: our own, and those of the archive's keys and of the exchange."""


def market_named(word: str) -> Market | None:
    """Return the market that a word means, in upper or lower case; None where it means none."""
    return MARKET_WORDS.get(word.lower())


def split_words(text: str) -> list[str]:
    """Return the words of a text such as ``spot,um``; one that names a file, ``@a,b.txt``, is a single word."""
    if "," not in text or text.startswith("@"):
        return [text]
    return [word.strip() for word in text.split(",") if word.strip()] or [text]


_INTERVAL = re.compile(r"([1-9][0-9]{0,5})\s*([A-Za-z]+)")
_INTERVAL_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "mo": 30 * 86_400}
_INTERVAL_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("w", "wk", "week", "weeks"), "w"),
    **dict.fromkeys(("mo", "mon", "month", "months"), "mo"),
}


def nearest_interval(word: str, allowed: Sequence[str]) -> str | None:
    """Return the allowed interval that is as long as the one that a word means, such as 60m, 24h, 7d or 1hour.

    Without one, it is the allowed word that looks most like it.
    """
    seconds = _interval_seconds(word)
    same = (one for one in allowed if seconds is not None and _interval_seconds(one) == seconds)
    return next(same, None) or nearest(word, allowed)


def _interval_seconds(word: str) -> int | None:
    found = _INTERVAL.fullmatch(word.strip())
    unit = _INTERVAL_UNITS.get("mo" if found[2] == "M" else found[2].lower()) if found else None
    return int(found[1]) * _INTERVAL_SECONDS[unit] if found and unit else None


_AMOUNT = re.compile(r"(\d{1,18}(?:\.\d{1,18})?) ?([a-z]+)?", re.ASCII | re.IGNORECASE)
_LETTERS = "kMGTP"
UNITS = {
    "B": 1,
    **{f"{letter}B": 1000 ** (power + 1) for power, letter in enumerate(_LETTERS)},
    **{f"{letter.upper()}iB": 1024 ** (power + 1) for power, letter in enumerate(_LETTERS)},
}
"""Bytes in each unit, by the unit's name."""

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_LONGEST_SECONDS = 366 * 86_400
_BY_FOLD = {name.casefold(): size for name, size in UNITS.items()}


def byte_count(value: object) -> int:
    """Return a size in bytes, rounded down; units are not case-sensitive.

    A number without unit is bytes. ``50G`` is refused, since some programs mean 50 GB by it and some 50 GiB.

    Raises:
        ValueError: The value is not a size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = _BY_FOLD.get((found[2] or "B").casefold()) if found else None
    if found is None or unit is None:
        raise ValueError(
            f"{_shown(value)} is not a size; write it like 50GB, 1.5TiB or 5000000: "
            f"a number of bytes, or one with a unit ({', '.join(UNITS)})"
        )
    return int(_exactly(found[1]) * unit)


def _exactly(amount: str) -> Fraction:
    from fractions import Fraction

    return Fraction(amount)


def seconds_of(text: str) -> float:
    """Return a duration in seconds: a number with one of the units ``s``, ``min``, ``h``, ``d``.

    Raises:
        ValueError: The text is not a duration, or one of zero.
    """
    found = _AMOUNT.fullmatch(text.strip())
    unit = _SECONDS.get((found[2] or "").casefold()) if found else None
    seconds = float(_exactly(found[1]) * unit) if found and unit else 0.0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError(f"{_shown(text)} is not a duration; write it like 90s, 30min, 1h or 1d, up to 366d")
    return seconds


_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.ASCII | re.IGNORECASE)

A_PLACE_OF_THIS_MACHINE = (
    "Name a folder or file of this machine; to have a copy in a bucket, upload the folder with s5cmd or rclone."
)
"""What to do about a destination that ``destination_fault`` refuses."""


def destination_fault(value: object) -> str | None:
    """Return why nothing can be written to a path, None if nothing speaks against it.

    A URL would otherwise become a folder named ``s3:``, and nothing at all the current folder. A scheme has more than
    one letter, other than a drive of Windows; a ``Path`` has lost the second slash.
    """
    text = str(value)
    if not text.strip() or "\0" in text:
        return f"{text!r} is not a valid path"
    return f"{text!r} is a URL, not a path" if _URL.match(text) else None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"


TODAY, YESTERDAY = "today", "yesterday"

_DAYS = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?|(\d{4})(\d{2})(\d{2})", re.ASCII)
SPAN_UNITS = ("d", "w", "mo", "y")
_SPAN = re.compile(rf"([1-9]\d{{0,4}})({'|'.join(SPAN_UNITS)})", re.ASCII)
_MOST = {"d": 36_500, "w": 5_214, "mo": 1_200, "y": 100}


def day_text(value: object) -> object:
    """Return a day, a month or a year as text: ``2025-07-15``, ``2025-07``, ``2025``, ``today`` or ``yesterday``.

    YAML makes a date or a number of most of them. What is none of that stays as it is.

    Raises:
        ValueError: The text is not a day.
    """
    if isinstance(value, datetime) and (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date().isoformat()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str | int | datetime) or isinstance(value, bool):
        return value
    text = str(value).strip()
    if text.lower() in (TODAY, YESTERDAY):
        return text.lower()
    if found := _DAYS.fullmatch(text):
        canonical = "-".join(filter(None, found.groups()))
        with suppress(ValueError):  # such as February 30
            _first_and_last(canonical)
            return canonical
    raise ValueError(
        f"{_shown(text)} is not a day; write YYYY-MM-DD, such as 2025-07-15, or 2025-07, 2025, {TODAY} or {YESTERDAY}"
    )


def day_of(text: str, today: date | None = None) -> date:
    """Return the UTC day of a text, which may depend on ``today`` or the clock.

    Raises:
        ValueError: The text is not a day, or a month or a year.
    """
    first, last = _days(str(day_text(text)), today or datetime.now(UTC).date())
    if first != last:
        raise ValueError(f"{text!r} has more than one day; write one, such as {last}")
    return first


def span_text(value: object) -> object:
    """Return a span as text: ``30d``, ``2w``, ``1mo`` or ``1y``; what is not text stays as it is.

    Raises:
        ValueError: The text is not a span, or one of more than a hundred years.
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    found = _SPAN.fullmatch(text)
    if found is None or int(found[1]) > _MOST[found[2]]:
        raise ValueError(f"{value!r} is not a span of time; write it like 30d, 2w, 1mo or 1y")
    return text


def overlay(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Return the dates of a preset, overridden by those of the options.

    ``last`` replaces both ends. ``start`` replaces a ``last`` below it, and ``end`` moves it: ``last: 7d`` with
    ``--end 2025-07-15`` means the seven days that end on that day.
    """
    if "last" in above:
        return dict(above)
    kept = {part: value for part, value in below.items() if not (part == "last" and "start" in above)}
    if "end" in above and "last" in kept:
        kept.pop("start", None)
    return kept | dict(above)


def resolve(parts: Mapping[str, str], today: date) -> DateRange:
    """Return the days that ``start``, ``end`` and ``last`` mean on the day ``today``.

    Raises:
        ValueError: The first day is after the last one, or in the future.
    """
    start = _days(parts["start"], today)[0] if "start" in parts else None
    end = _days(parts["end"], today)[1] if "end" in parts else None
    if "last" in parts:
        end = end or today - timedelta(days=1)
        start = _first_of(parts["last"], end)
    if start is not None and end is not None and start > end:
        raise ValueError(f"the start {start} is after the end {end}")
    if start is not None and start > today:
        now = f"today is {today} in UTC"
        raise ValueError(f"the start {start} is in the future ({now}); write yesterday or an earlier day")
    return DateRange(start, end)


def _days(text: str, today: date) -> tuple[date, date]:
    """Return the first and the last day of a text as ``day_text`` returns it."""
    if text in (TODAY, YESTERDAY):
        day = today if text == TODAY else today - timedelta(days=1)
        return day, day
    return _first_and_last(text)


def _first_and_last(text: str) -> tuple[date, date]:
    year, month, day = (*map(int, text.split("-")), 0, 0)[:3]
    if day:
        return date(year, month, day), date(year, month, day)
    return date(year, month or 1, 1), _last_of_month(year, month or 12)


def _last_of_month(year: int, month: int) -> date:
    return date(year, month, 1).replace(day=monthrange(year, month)[1])


def _first_of(span: str, end: date) -> date:
    """Return the first day of a span that ends on a day; spans of months from the end of a month are whole months."""
    found = _SPAN.fullmatch(span)
    assert found is not None
    count, unit = int(found[1]), found[2]
    if unit in {"d", "w"}:
        return _before(end, count * (7 if unit == "w" else 1) - 1)
    year, month = divmod(end.year * 12 + end.month - 1 - count * (12 if unit == "y" else 1), 12)
    if year < 1:
        return date.min
    last = _last_of_month(year, month + 1)
    is_end = end == _last_of_month(end.year, end.month)
    return (last if is_end or end.day > last.day else last.replace(day=end.day)) + timedelta(days=1)


def _before(day: date, days: int) -> date:
    """Return the day ``days`` earlier, or the first day that there is."""
    return date.fromordinal(max(1, day.toordinal() - days))


# As `s5cmd --help` of version 2.3.0 lists them.
_FLAGS = ("--no-sign-request", "--no-verify-ssl", "--use-list-objects-v1")
_TEXTS = ("--credentials-file", "--profile", "--request-payer")
_LEAST = {"--numworkers": 1, "--retry-count": 0}
_ALLOWED = tuple(sorted((*_FLAGS, *_TEXTS, *_LEAST)))
_LONG = {"-r": "--retry-count", "-h": "--help", "-p": "--part-size"}
_SIGNING = ("--profile", "--credentials-file")

_WATCHED = "crypto-archive sets it itself, to follow s5cmd's progress"
_INSTEAD = {
    "--dry-run": "use 'crypto-archive collect --dry-run' instead",
    "--endpoint-url": "use the option --endpoint-url or the variable CRYPTO_ARCHIVE_ENDPOINT_URL instead",
    "--help": "it downloads nothing",
    "--install-completion": "it downloads nothing",
    "--json": _WATCHED,
    "--log": _WATCHED,
    "--part-size": "use the field part_size_mb instead",
    "--stat": _WATCHED,
    "--version": "it downloads nothing",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an argument cannot be passed to s5cmd.

    Attributes:
        index: Its position in the list.
        message: What is wrong with it.
        allowed: The options allowed, where the option is unknown.
        nearest: The closest of them.
    """

    index: int
    message: str
    allowed: tuple[str, ...] = ()
    nearest: str | None = None


def read_arguments(arguments: Sequence[str]) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """Return the arguments in one form, ``--option`` or ``--option=value``, and what is wrong with the others.

    ``--retry-count=5``, ``--retry-count 5``, ``-r 5``, and a value as a separate argument are accepted. The last
    occurrence of an option wins.
    """
    accepted: dict[str, str] = {}
    positions: dict[str, int] = {}
    refusals: list[Refusal] = []
    for index, name, value in _options(arguments):
        refusal = _refusal(index, name, value)
        if refusal is None:
            accepted[name] = name if value is None else f"{name}={value}"
            positions[name] = index
        else:
            refusals.append(refusal)
    if "--no-sign-request" in accepted and (signing := [name for name in _SIGNING if name in accepted]):
        message = f"{signing[0]} and --no-sign-request contradict each other; keep one of them"
        refusals.append(Refusal(positions[signing[0]], message))
    return tuple(accepted.values()), tuple(refusals)


def _options(arguments: Sequence[str]) -> Iterator[tuple[int, str, str | None]]:
    """Yield position, long name and value of each option."""
    waiting = list(enumerate(arguments))
    while waiting:
        index, argument = waiting.pop(0)
        name, value = _split(argument.strip())
        wants_value = name in _TEXTS or name in _LEAST
        if wants_value and value is None and waiting and not waiting[0][1].startswith("-"):
            value = waiting.pop(0)[1].strip()
        yield index, name, value


def _split(argument: str) -> tuple[str, str | None]:
    """Split ``--name=value`` and ``--name value``."""
    for separator in ("=", " "):
        name, found, value = argument.partition(separator)
        if found and " " not in name:
            return _LONG.get(name, name), value.strip()
    return _LONG.get(argument, argument), None


def _refusal(index: int, name: str, value: str | None) -> Refusal | None:
    if name in _INSTEAD:
        return Refusal(index, f"{name} cannot be set here; {_INSTEAD[name]}")
    if name not in _ALLOWED:
        message = f"unknown option {name!r} of s5cmd" if name.startswith("-") else f"{name!r} is not an option of s5cmd"
        return Refusal(index, message, _ALLOWED, nearest(name, _ALLOWED))
    if name in _FLAGS:
        return None if value is None else Refusal(index, f"{name} takes no value")
    if not value:
        return Refusal(index, f"{name} needs a value, such as {name}={5 if name in _LEAST else 'NAME'}")
    if name in _LEAST and not _is_count(value, _LEAST[name]):
        return Refusal(index, f"{name} needs a whole number of at least {_LEAST[name]}, not {value!r}")
    return None


def _is_count(text: str, least: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7 and int(text) >= least
