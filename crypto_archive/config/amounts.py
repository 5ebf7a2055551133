"""Sizes as people write them: ``50GB``, ``1.5TiB``, or plain bytes."""

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


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
