"""The journal of a run, ``events.jsonl``: a line of JSON for each event; and what is read back from it."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache
from itertools import groupby
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING

from crypto_archive.events import (
    BytesArrived,
    Comparing,
    DaysCovered,
    ObjectFinished,
    ObjectPlanned,
    ObjectsKept,
    Planning,
    SeriesAnswered,
)
from crypto_archive.files import LineSorter, explain_os_errors
from crypto_archive.model import STORED, Action, ArchiveObject, Notice, PlannedObject, RemoteStat
from crypto_archive.root.layout import confirm_layout
from crypto_archive.root.manifest import text_of
from crypto_archive.text import compact_json, harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.events import Event
    from crypto_archive.root.store import Root

JOURNAL = "events.jsonl"
"""The name of the journal in the folder of a run."""


@cache
def _with_dashes(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def event_name(event: object) -> str:
    """Return the name of an event in documents: ``ObjectFinished`` is ``object-finished``."""
    return _with_dashes(type(event).__name__)


_KEPT, _FINISHED, _COVERED = (_with_dashes(kind.__name__) for kind in (ObjectsKept, ObjectFinished, DaysCovered))


def event_line(event: Event, time: str) -> str | None:
    """Return the JSON text of an event, without a line end; None for what a journal leaves out.

    The event's name comes first (``ObjectFinished`` is ``object-finished``) and the time at which it was recorded, then
    its fields under their own names; an object is its ``key``. Arriving bytes and the steps of a comparison are left
    out: they are of no use afterwards. So are series that have all their days, the plan to leave an object alone, and
    all but keys and sizes of what stays as it is: a root that is up to date has very many such objects, and the
    manifest has the rest.
    """
    # Most events by far are of the first three kinds; of two the lines are what ``plain_fields`` would give.
    if isinstance(event, ObjectsKept):
        keys, sizes = [item.object.key for item in event.planned], [item.stored_size for item in event.planned]
        return compact_json({"event": _KEPT, "time": time, "keys": keys, "sizes": sizes})
    if isinstance(event, ObjectFinished):
        return harmless(_finished_line(event, time))
    if isinstance(event, ObjectPlanned):
        planned = event.planned
        known = planned.action is Action.KEEP and planned.adopted is None
        return None if known else harmless(_planned_line(planned, time))
    if isinstance(event, BytesArrived | Comparing | Planning):
        return None
    if isinstance(event, SeriesAnswered) and not event.days.absent:
        return None
    return compact_json({"event": event_name(event), "time": time} | plain_fields(event))


def _finished_line(event: ObjectFinished, time: str) -> str:
    (
        thing, outcome, reason, size, fetched, sha256, verdict, remote, attempts, lane, etag, sidecar_etag, refused,
        days, lacks,
    ) = event  # fmt: skip
    return (
        f'{{"event":"object-finished","time":"{time}","key":{quoted(thing.key)},"outcome":"{outcome}",'
        f'"reason":{quoted(reason)},"size":{size},"bytes_fetched":{fetched},'
        f'"sha256":{quoted(sha256)},"verdict":{_text(verdict)},"remote":{_listed(remote)},"attempts":{attempts},'
        f'"lane":{"null" if lane is None else lane},"etag":{quoted(etag)},"sidecar_etag":{_text(sidecar_etag)},'
        f'"refused":{_flag(refused)},"month_days":{"null" if days is None else days},"lacks":{lacks}}}'
    )


def _planned_line(planned: PlannedObject, time: str) -> str:
    remote, since = planned.remote, planned.awaited_since
    return (
        f'{{"event":"object-planned","time":"{time}","key":{quoted(planned.object.key)},"action":"{planned.action}",'
        f'"why":{quoted(planned.why)},"with_sidecar":{_flag(planned.with_sidecar)},"remote":{_listed(remote)},'
        f'"stored_size":{planned.stored_size},"adopted":{_document(planned.adopted)},'
        f'"covers":{_document(planned.covers)},"pin":{_pin(planned.pin)},'
        f'"awaited_since":{"null" if since is None else quoted(since.isoformat())},"verdict":{_text(planned.verdict)},'
        f'"noted":{_document(planned.noted)},"look":{planned.look},'
        f'"sha256":{quoted((remote.sha256 if remote else None) or "")}}}'
    )


def _text(text: str | None) -> str:
    return "null" if text is None else quoted(text)


def _flag(flag: bool) -> str:
    return "true" if flag else "false"


def _listed(stat: RemoteStat | None) -> str:
    return "null" if stat is None else f'{_stat(stat)},"has_sidecar":{_flag(stat.has_sidecar)}}}'


def _pin(stat: RemoteStat | None) -> str:
    return "null" if stat is None else f'{_stat(stat)},"sha256":{quoted(stat.sha256 or "")}}}'


def _stat(stat: RemoteStat) -> str:
    return f'{{"size":{stat.size},"etag":{quoted(stat.etag)},"last_modified":"{text_of(stat.last_modified)}"'


def _document(value: object) -> str:
    return "null" if value is None else compact_json(plain_fields(value))


def plain_fields(value: object) -> dict[str, object]:
    """Return the fields of an event, a dataclass or a named tuple, as they are in documents."""
    plain: dict[str, object] = {}
    for name in _names(value):
        part = getattr(value, name)
        if isinstance(part, ArchiveObject):
            plain["key"] = part.key
        elif isinstance(part, PlannedObject):
            plain |= plain_fields(part) | {"sha256": (part.remote.sha256 if part.remote else None) or ""}
        elif isinstance(part, RemoteStat):
            stat = {"size": part.size, "etag": part.etag, "last_modified": part.last_modified.isoformat()}
            more = {"sha256": part.sha256 or ""} if name == "pin" else {"has_sidecar": part.has_sidecar}
            plain[name] = stat | more
        else:
            plain[name] = _plain(part)
    return plain


def _names(value: object) -> Iterable[str]:
    names: Iterable[str] = getattr(value, "_fields", ()) or getattr(value, "__dataclass_fields__", ())
    return names


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Notice):
        return value.text
    if isinstance(value, date):  # datetime too
        return value.isoformat()
    if _names(value):
        return plain_fields(value)
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return value


# Reading it back

_MOVED = "\x01"
"""Ends the line of a file that was moved aside; like the separator below, no path contains it."""


def stored_files(root: Root, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files of the objects that runs stored or found in place, sorted by path, by what their journals say.

    Left out is what the same runs moved aside because a monthly object holds its rows. Paths are sorted on disk, so
    that millions take little memory. Raises FileUnusable where a journal is gone, and UsageError where the root has
    another layout by now.
    """
    confirm_layout(root)
    with LineSorter() as lines:
        for folder in folders:
            for key, moved in _stored_keys(folder / JOURNAL):
                # Part by part, as paths compare: "/" itself would sort after "-".
                lines.add(root.layout.path(key).replace("/", "\0") + (_MOVED if moved else ""))
        for path, of_path in groupby(lines.sorted(), key=lambda line: line.removesuffix(_MOVED)):
            if not any(line.endswith(_MOVED) for line in of_path):
                yield root.path.joinpath(*path.split("\0"))


def _stored_keys(journal: Path) -> Iterator[tuple[str, bool]]:
    """Yield the keys of the objects that a run stored or found, and of those that it moved aside."""
    hint = (
        "Only the newest runs keep their folders (keep_runs). Collect again: what is in place already is listed, too."
    )
    with explain_os_errors("read the journal", journal, hint=hint), journal.open(encoding="utf-8") as file:
        for line in file:
            if not any(name in line for name in (_KEPT, _FINISHED, _COVERED)):  # parsing all takes much longer
                continue
            try:
                event = json.loads(line)
            except ValueError:  # cut off by a full disk
                continue
            if event["event"] == _KEPT:
                yield from ((key, False) for key in event["keys"])
            elif event["event"] == _FINISHED and event["outcome"] in STORED:
                yield event["key"], False
            elif event["event"] == _COVERED:
                yield from ((key, True) for key in event["moved"])
