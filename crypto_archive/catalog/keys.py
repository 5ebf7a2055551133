"""Object keys, both ways: from symbol, interval and period to the key, and from the key back.

Pure text work; nothing here knows what the archive holds. A key is always used verbatim, never normalised.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from string import Formatter
from typing import NamedTuple

from crypto_archive.model import SIDECAR_SUFFIX, Partition, Period
from crypto_archive.text import HIDDEN

_FIELDS = ("partition", "symbol", "interval", "date")
KEYS_A_REQUEST = 1000
"""The most keys in one answer to LIST."""
LONGEST_SYMBOL = 200
"""In bytes: with interval, date and suffixes it is a file name, of at most 255 bytes, to which s5cmd appends up to ten
digits while it copies."""
_CONTROL = rf"\x00-\x1f{HIDDEN}"
_CONTROL_CHARACTER = re.compile(f"[{_CONTROL}]")
_SYMBOL = re.compile(rf"(?!\.{{1,2}}\Z)[^/{_CONTROL}]+")
# One known monthly key has a month of one digit (ADABKRW-1h-2020-8.zip), so leading zeros are optional.
_FIELD_REGEX = {
    "partition": "daily|monthly",
    "symbol": rf"(?!\.{{1,2}}/)[^/{_CONTROL}]+",
    "interval": rf"[^/{_CONTROL}-]+",
    "date": "[0-9]{4}-[0-9]{1,2}(?:-[0-9]{1,2})?",
}


_DATE = re.compile(_FIELD_REGEX["date"])


def sidecar_key(key: str) -> str:
    """Return the key of the object's checksum file."""
    return key + SIDECAR_SUFFIX


def is_symbol(text: str) -> bool:
    """Whether ``text`` can be a symbol: any text that can be a folder name, non-ASCII names included."""
    return _SYMBOL.fullmatch(text) is not None and _fits(text)


def _fits(symbol: str) -> bool:
    return 4 * len(symbol) <= LONGEST_SYMBOL or len(symbol.encode()) <= LONGEST_SYMBOL


class ParsedKey(NamedTuple):
    """What a key says about its object; the interval is None where the pattern has none."""

    symbol: str
    interval: str | None
    period: Period


class _Compiled(NamedTuple):
    """A compiled template: ``head`` runs up to the date, ``tail`` follows it, both %-format texts.

    The expressions are texts: compiling those of the whole matrix takes longer than a run that needs three of them.
    """

    symbols_head: str
    head: str
    tail: str
    regex: str
    has_interval: bool
    name_regex: str | None


@dataclass(frozen=True, slots=True)
class KeyPattern:
    """How the keys of one market and data type are built.

    Attributes:
        template: The key with the fields ``{partition}``, ``{symbol}``, ``{interval}`` and ``{date}``, such as
            ``data/spot/{partition}/klines/{symbol}/{interval}/{symbol}-{interval}-{date}.zip``.

    Raises:
        ValueError: The template cannot work; the text says why.
    """

    template: str
    _compiled: _Compiled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", _compile(self.template))

    @property
    def has_interval(self) -> bool:
        """Whether keys name an interval."""
        return self._compiled.has_interval

    def key(self, symbol: str, interval: str | None, period: Period) -> str:
        """Return the key of one object; raises ``ValueError`` for a wrong symbol, or a wrong or missing interval."""
        head, tail = self.ends(period.partition, symbol, interval)
        return head + str(period) + tail

    def ends(self, partition: Partition, symbol: str, interval: str | None) -> tuple[str, str]:
        """Return what comes before and after the date in all keys of a series; raises ``ValueError`` like ``key``."""
        return _ends(self.template, partition is Partition.MONTHLY, symbol, interval)

    def parse(self, key: str) -> ParsedKey | None:
        """Return what ``key`` says, None where it does not match this pattern (folders and file name must agree)."""
        match = _expression(self._compiled.regex).fullmatch(key)
        if match is None:
            return None
        found = match.groupdict()
        if not _fits(found["symbol"]):
            return None
        period = period_of(found["date"], found.get("partition"))
        return None if period is None else ParsedKey(found["symbol"], found.get("interval"), period)

    @property
    def names_tell(self) -> bool:
        """Whether file names alone, without their folders, identify the objects of the pattern."""
        return self._compiled.name_regex is not None

    def key_named(self, name: str) -> str | None:
        """Return the key whose last part is ``name``; None where there is none, or names do not identify objects."""
        regex = self._compiled.name_regex
        match = None if regex is None else _expression(regex).fullmatch(name)
        if match is None:
            return None
        found = match.groupdict()
        period = period_of(found["date"], None)
        if period is None or not is_symbol(found["symbol"]):
            return None
        folders = self.key(found["symbol"], found.get("interval"), period).rpartition("/")[0]
        return f"{folders}/{name}"

    def symbols_prefix(self, partition: Partition) -> str:
        """Return the prefix below which every symbol has its folder, such as ``data/spot/daily/klines/``."""
        return self._compiled.symbols_head % {"partition": partition.value}

    def series_prefix(self, partition: Partition, symbol: str, interval: str | None) -> str:
        """Return what the keys of a series share, such as ``data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-``."""
        return self.ends(partition, symbol, interval)[0]


@lru_cache(maxsize=4096)
def _ends(template: str, monthly: bool, symbol: str, interval: str | None) -> tuple[str, str]:
    """Return the key before and after the date.

    Remembered, since a plan walks a series date by date; the arguments are plain because hashing enums is slow.
    """
    compiled = _compile(template)
    if not is_symbol(symbol):
        raise ValueError(
            f"{symbol!r} is not a valid symbol: it must be a folder name without control characters, "
            f"of at most {LONGEST_SYMBOL} bytes"
        )
    if compiled.has_interval != (interval is not None):
        wanted = (
            "needs an interval" if compiled.has_interval else f"does not have an interval, but {interval!r} is given"
        )
        raise ValueError(f"the key pattern {template!r} {wanted}")
    partition = Partition.MONTHLY if monthly else Partition.DAILY
    values = {"partition": partition.value, "symbol": symbol, "interval": interval}
    return compiled.head % values, compiled.tail % values


@lru_cache(maxsize=4096)
def period_of(text: str, partition: str | None) -> Period | None:
    """Return the day or month of a text, None where the calendar or the partition does not agree.

    Remembered, since the series of a listing have the same days: eleven years of them.
    """
    if _DATE.fullmatch(text) is None:
        return None
    parts = [int(part) for part in text.split("-")]
    found = Partition.DAILY if len(parts) == 3 else Partition.MONTHLY
    if partition is not None and partition != found.value:
        return None
    try:
        return Period(found, date(parts[0], parts[1], parts[2] if found is Partition.DAILY else 1))
    except ValueError:
        return None


@lru_cache(maxsize=256)
def _compile(template: str) -> _Compiled:
    pieces = tuple(_pieces(template))
    _check(template, [name for _, name in pieces if name])
    names = [name for _, name in pieces]
    at_symbol, at_date = names.index("symbol"), names.index("date")
    date_literal = pieces[at_date][0]
    return _Compiled(
        symbols_head=_formatting(pieces[:at_symbol]) + _literal(pieces[at_symbol][0]),
        head=_formatting(pieces[:at_date]) + _literal(date_literal),
        tail=_formatting(pieces[at_date + 1 :]),
        regex=_regex(pieces),
        has_interval="interval" in names,
        name_regex=_name_regex(template, names),
    )


def _pieces(template: str) -> list[tuple[str, str | None]]:
    """Split a template into (literal text, name of the field that follows it)."""
    try:
        parsed = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("a brace is unbalanced") from None
    for _, name, spec, conversion in parsed:
        if name is not None and name not in _FIELDS:
            fields = ", ".join(f"{{{allowed}}}" for allowed in _FIELDS)
            raise ValueError(f"unknown field {{{name}}}; the fields are {fields}")
        if spec or conversion:
            written = f"{name}!{conversion}" if conversion else f"{name}:{spec}"
            raise ValueError(f"{{{written}}} cannot be formatted; write {{{name}}} alone")
    return [(literal, name) for literal, name, _, _ in parsed]


def _check(template: str, names: list[str]) -> None:
    """Raise ValueError where a template could not name each object below one folder per symbol."""
    folders = template.split("/")
    if missing := [name for name in ("symbol", "date") if name not in names]:
        raise ValueError(f"the field {{{missing[0]}}} is missing")
    if names.count("date") > 1:
        raise ValueError("the field {date} must appear only once")
    if "{symbol}" not in folders[:-1]:
        raise ValueError("{symbol} must be a folder of its own")
    first = [names.index(name) for name in _FIELDS if name in names]
    if first != sorted(first):
        raise ValueError("the fields must come in the order {partition}, {symbol}, {interval}, {date}")
    if template.startswith("/"):
        raise ValueError("it must be relative: no slash at the start")
    if bad := [folder for folder in folders if folder in {"", ".", ".."}]:
        raise ValueError(f"it must not have a folder or file called {bad[0]!r}")
    if _CONTROL_CHARACTER.search(template):
        raise ValueError("it must not contain control characters")
    if template.endswith(SIDECAR_SUFFIX):
        raise ValueError(f"it must name the object, not its sidecar {SIDECAR_SUFFIX}")


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _formatting(pieces: tuple[tuple[str, str | None], ...]) -> str:
    """Return pieces as a %-format text over a mapping."""
    return "".join(_literal(literal) + (f"%({name})s" if name else "") for literal, name in pieces)


def _name_regex(template: str, names: list[str | None]) -> str | None:
    """Return the expression that reads a file name; None where a name could be that of two objects.

    A date implies its partition, and between dashes everything can be read in one way only, from the end: dates are
    digits in their form, intervals have no dash, and the symbol is what remains.
    """
    pieces = tuple(_pieces(template.rpartition("/")[2]))
    needed = {name for name in names if name is not None} - {"partition"}
    between = [literal for literal, name in pieces[1:] if name is not None]
    apart = all(literal.startswith("-") and literal.endswith("-") for literal in between)
    return _regex(pieces) if apart and needed <= {name for _, name in pieces} else None


_expression = lru_cache(maxsize=512)(re.compile)


def _regex(pieces: tuple[tuple[str, str | None], ...]) -> str:
    """Return the expression that reads a key back; a field that occurs twice must have the same value."""
    text = ""
    for literal, name in pieces:
        text += re.escape(literal)
        if name:
            text += f"(?P={name})" if f"(?P<{name}>" in text else f"(?P<{name}>{_FIELD_REGEX[name]})"
    return text
