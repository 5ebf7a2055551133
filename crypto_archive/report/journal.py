"""A run's journal: one JSON line an event, as it stands in ``events.jsonl``."""

from __future__ import annotations

import json
import re
from dataclasses import is_dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, get_args

from crypto_archive.events import BytesArrived, Comparing, Event
from crypto_archive.model import ArchiveObject, Notice, PlannedObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_NAMES = {kind: re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower() for kind in get_args(Event)}


def event_line(event: Event, at: datetime | None = None) -> str | None:
    """Return the JSON text of an event, without a line end; None for what a journal leaves out.

    The event's name comes first (``ObjectSettled`` is ``object-settled``), then its fields under their own names; an
    object is its ``key``. Bytes on their way and steps of a comparison are left out: they are of no use afterwards.

    Args:
        event: What happened.
        at: When, UTC; goes into the field ``at``.
    """
    if isinstance(event, BytesArrived | Comparing):
        return None
    line: dict[str, object] = {"event": _NAMES[type(event)]}
    if at is not None:
        line["at"] = at.isoformat()
    return json.dumps(line | _plain_fields(event), ensure_ascii=False, separators=(",", ":"))


def _plain_fields(value: DataclassInstance) -> dict[str, object]:
    plain: dict[str, object] = {}
    for name in value.__dataclass_fields__:
        part = getattr(value, name)
        if isinstance(part, ArchiveObject):
            plain["key"] = part.key
        elif isinstance(part, PlannedObject):
            plain |= _plain_fields(part)
        else:
            plain[name] = _plain(part)
    return plain


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Notice):
        return value.text
    if isinstance(value, date):  # datetime too
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain_fields(value)
    return value
