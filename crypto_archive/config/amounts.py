"""Sizes and durations as people write them: ``50GB``, ``1.5TiB``, or plain bytes; ``90s``, ``1h``, ``1d``."""

from __future__ import annotations

import re
from fractions import Fraction

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
    """Return a size in bytes, rounded down; small and capital letters mean the same.

    A number without unit is bytes. ``50G`` is refused, since some programs mean 50 GB by it and some 50 GiB.

    Raises:
        ValueError: The value is no size.
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
    return int(Fraction(found[1]) * unit)


def seconds_of(text: str) -> float:
    """Return a duration in seconds: a number with one of the units ``s``, ``min``, ``h``, ``d``.

    Raises:
        ValueError: The text is no duration, or none at all.
    """
    found = _AMOUNT.fullmatch(text.strip())
    unit = _SECONDS.get((found[2] or "").casefold()) if found else None
    seconds = float(Fraction(found[1]) * unit) if found and unit else 0.0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError(f"{_shown(text)} is not a duration; write it like 90s, 30min, 1h or 1d, up to 366d")
    return seconds


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
