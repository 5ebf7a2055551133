"""A run's journal: one JSON line an event, as it stands in ``events.jsonl``."""

from __future__ import annotations

import json
import re
from dataclasses import is_dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, get_args

from crypto_archive.events import BytesArrived, Comparing, Event, ObjectPlanned, ObjectSettled
from crypto_archive.model import Action, ArchiveObject, Notice, Outcome, PlannedObject

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_NAMES = {kind: re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower() for kind in get_args(Event)}


def event_line(event: Event, at: datetime | None = None) -> str | None:
    """Return the JSON text of an event, without a line end; None for what a journal leaves out.

    The event's name comes first (``ObjectSettled`` is ``object-settled``), then its fields under their own names; an
    object is its ``key``. Bytes on their way and steps of a comparison are left out: they are of no use afterwards. So
    is the plan to leave an object alone, and all of its settlement but key, outcome and size: a root that is up to date
    has very many of them, and the manifest says the rest.

    Args:
        event: What happened.
        at: When, UTC; goes into the field ``at``.
    """
    if isinstance(event, BytesArrived | Comparing) or (isinstance(event, ObjectPlanned) and _stays(event.planned)):
        return None
    line: dict[str, object] = {"event": _NAMES[type(event)]}
    if at is not None:
        line["at"] = at.isoformat()
    if isinstance(event, ObjectSettled) and event.outcome is Outcome.PRESENT:
        return _encode(line | {"key": event.object.key, "outcome": event.outcome, "size": event.size})
    return _encode(line | _plain_fields(event))


def _stays(planned: PlannedObject) -> bool:
    """Whether a planned object is left alone, and was known before."""
    return planned.action is Action.KEEP and planned.adopted is None


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
