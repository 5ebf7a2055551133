"""The days that a request means: fixed dates, ``yesterday``, and spans such as ``7d`` that end yesterday. All UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from crypto_archive.model import DateRange

if TYPE_CHECKING:
    from collections.abc import Mapping

YESTERDAY = "yesterday"

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_SPAN = re.compile(r"([1-9]\d{0,4})([dw])", re.ASCII)
_LONGEST_SPAN_DAYS = 36_500


def day_text(value: object) -> object:
    """Return a day as text: ``YYYY-MM-DD`` or ``yesterday``; what is neither text nor a date is returned as it is.

    Raises:
        ValueError: The text names no day.
    """
    if isinstance(value, datetime) and (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date().isoformat()
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str | datetime):
        return value
    text = str(value).strip()
    if text == YESTERDAY or _is_day(text):
        return text
    raise ValueError(f"{text!r} is not a day; write YYYY-MM-DD, such as 2025-07-15, or {YESTERDAY!r}")


def day_of(text: str, today: date | None = None) -> date:
    """Return the UTC day that a text names: ``YYYY-MM-DD`` or ``yesterday``.

    Args:
        text: The text.
        today: The current UTC day; read from the clock when not given.

    Raises:
        ValueError: The text names no day.
    """
    return _day(str(day_text(text)), today or datetime.now(UTC).date())


def span_text(value: object) -> object:
    """Return a span as text: ``7d`` or ``2w``; what is no text is returned as it is.

    Raises:
        ValueError: The text is no span, or one of more than a hundred years.
    """
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if not _SPAN.fullmatch(text) or _days(text) > _LONGEST_SPAN_DAYS:
        raise ValueError(f"{value!r} is not a number of days or weeks; write it like 7d or 2w")
    return text


def overlay(below: Mapping[str, str], above: Mapping[str, str]) -> dict[str, str]:
    """Return the dates of a preset with those of the options laid over them.

    ``last`` takes the place of both ends. ``start`` takes the place of a ``last`` below it, and ``end`` moves it:
    ``last: 7d`` with ``--end 2025-07-15`` means the seven days that end on that day.
    """
    if "last" in above:
        return dict(above)
    kept = {part: value for part, value in below.items() if not (part == "last" and "start" in above)}
    if "end" in above and "last" in kept:
        kept.pop("start", None)
    return kept | dict(above)


def resolve(parts: Mapping[str, str], today: date) -> DateRange:
    """Return the days that ``start``, ``end`` and ``last`` mean on ``today``.

    Raises:
        ValueError: The first day is after the last one.
    """
    start, end = (_day(parts[part], today) if part in parts else None for part in ("start", "end"))
    if "last" in parts:
        end = end or today - timedelta(days=1)
        start = _before(end, _days(parts["last"]) - 1)
    if start is not None and end is not None and start > end:
        raise ValueError(f"the start {start} is after the end {end}")
    return DateRange(start, end)


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _day(text: str, today: date) -> date:
    return today - timedelta(days=1) if text == YESTERDAY else date.fromisoformat(text)


def _days(span: str) -> int:
    return int(span[:-1]) * (7 if span.endswith("w") else 1)


def _before(day: date, days: int) -> date:
    """Return the day that is ``days`` earlier, or the first of all days."""
    return date.fromordinal(max(1, day.toordinal() - days))
