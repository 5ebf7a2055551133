"""The record of a run: journal, manifest, ``failed.s5cmd`` and report, written as events come."""

from __future__ import annotations

import json
import re
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from itertools import groupby
from typing import IO, TYPE_CHECKING

from crypto_archive.errors import CryptoArchiveError, EnvironmentFailure
from crypto_archive.events import (
    BytesArrived,
    Comparing,
    DaysCovered,
    ObjectFinished,
    ObjectPlanned,
    Planning,
    SeriesAnswered,
)
from crypto_archive.files import LineSorter, atomic_write, explain_os_errors
from crypto_archive.jobs.progress import ProgressNote
from crypto_archive.model import (
    STORED,
    Absence,
    Action,
    ArchiveObject,
    ManifestEntry,
    Notice,
    Outcome,
    PlannedObject,
    RemoteStat,
    Verdict,
)
from crypto_archive.plan.awaited import moves_on, wanted_by
from crypto_archive.root.layout import confirm_layout
from crypto_archive.root.manifest import Awaited, Manifest
from crypto_archive.root.store import explain_root_errors, root_unusable
from crypto_archive.s5cmd.runfile import copy_line
from crypto_archive.text import compact_json, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.config.run_config import Selection
    from crypto_archive.events import Event
    from crypto_archive.jobs.report import Report
    from crypto_archive.plan.lockfile import Wait
    from crypto_archive.root.store import Root

JOURNAL = "events.jsonl"
"""The name of the journal in the folder of a run."""


@cache
def _with_dashes(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def event_name(event: object) -> str:
    """Return the name of an event in documents: ``ObjectFinished`` is ``object-finished``."""
    return _with_dashes(type(event).__name__)


def event_line(event: Event, at: datetime) -> str | None:
    """Return the JSON text of an event, without a line end; None for what a journal leaves out.

    The event's name comes first (``ObjectFinished`` is ``object-finished``) and the time at which it was recorded, then
    its fields under their own names; an object is its ``key``. Arriving bytes and the steps of a comparison are left
    out: they are of no use afterwards. So are series that have all their days, the plan to leave an object alone, and
    of its end all but key, outcome and size: a root that is up to date has very many of them, and the manifest has the
    rest.
    """
    if isinstance(event, BytesArrived | Comparing | Planning) or (
        isinstance(event, ObjectPlanned) and _stays(event.planned)
    ):
        return None
    if isinstance(event, SeriesAnswered) and not event.days.absent:
        return None
    line: dict[str, object] = {"event": event_name(event), "time": at.isoformat(timespec="milliseconds")}
    if isinstance(event, ObjectFinished) and event.outcome is Outcome.PRESENT and not event.sha256:
        return compact_json(line | {"key": event.object.key, "outcome": event.outcome, "size": event.size})
    return compact_json(line | plain_fields(event))


def _stays(planned: PlannedObject) -> bool:
    """Whether a planned object is left alone, and was known before."""
    return planned.action is Action.KEEP and planned.adopted is None


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


@dataclass(frozen=True, slots=True)
class Awaiting:
    """What a run waits for because it is not published yet, or its lock file says so of its plan.

    Attributes:
        today: The current UTC day.
        selection: The selection; None for a lock file.
        published: The selections by the keys of what the plan of the lock file had waited for and is published.
    """

    today: date
    selection: Selection | None = None
    published: dict[str, str] = field(default_factory=dict)

    def note_plan(self, manifest: Manifest, waits: Iterable[Wait]) -> None:
        """Let the manifest know what the plan of a lock file waited for, or will not wait for any more."""
        for wait in waits:
            if wait.absence is None:
                self.published[wait.key] = wait.wanted_by
                continue
            seen_at = datetime.combine(wait.seen_on, datetime.min.time(), UTC)
            manifest.record_absent(wait.key, wait.absence, seen_at)
            if wait.absence.may_end:
                manifest.record_awaited(Awaited(wait.key, wait.wanted_by, wait.seen_on))

    def note(self, manifest: Manifest, event: ObjectFinished) -> None:
        """Let the manifest know what the run waits for, and what has come after the selection's dates had moved on."""
        item, who = event.object, self.published.get(event.object.key)
        came = event.outcome in {Outcome.FETCHED, Outcome.UPDATED}
        if self.selection is not None and moves_on(dates := self.selection.dates, self.today):
            came = came and dates.start is not None and item.period.last_day < dates.start
            if came or (event.outcome is Outcome.ABSENT and Absence(event.reason).may_end):
                who = wanted_by(self.selection, item.series.market, item.series.data_type)
        if who is not None:
            manifest.record_awaited(Awaited(item.key, who, self.today, self.today if came else None))


FLUSH_SECONDS = 2.0
"""How long records may wait in memory, in seconds; files are safe at their final paths all along."""
JOURNAL_BYTES = 1 << 18
"""How much of the journal may wait with them, in bytes."""


class Record:
    """Takes every event of a run, in one thread, and keeps report, manifest, journal and ``failed.s5cmd``.

    Attributes:
        folder: The run's folder.
        report: The report so far.
        manifest: The manifest, open for writing in the thread that made the record.
    """

    def __init__(
        self,
        root: Root,
        folder: Path,
        report: Report,
        manifest: Manifest,
        journal: IO[str],
        awaiting: Awaiting | None = None,
    ) -> None:
        self._root = root
        self.folder = folder
        self.report = report
        self._run_id = folder.name
        self.manifest = manifest
        self._journal = journal
        self._awaiting = awaiting
        self._progress = ProgressNote(root, folder, report)
        self._flushed_at = time.monotonic()

    @classmethod
    @contextmanager
    def opened(cls, root: Root, run_id: str, report: Report, awaiting: Awaiting | None = None) -> Iterator[Record]:
        """Open the record of a new run; the report is written when the context ends, for whatever reason.

        What cannot be written then becomes the report's ``error``, so that the run does not count as a success. Raises
        EnvironmentFailure where the root cannot be written to, or the manifest is damaged or too new.
        """
        folder = root.runs / run_id
        with ExitStack() as stack:
            with explain_root_errors(root):
                folder.mkdir(parents=True)
                manifest = Manifest(root.manifest_path)
                stack.callback(manifest.close)
                path = folder / JOURNAL
                journal = stack.enter_context(path.open("w", encoding="utf-8", buffering=JOURNAL_BYTES))
            stack.pop_all()
        record = cls(root, folder, report, manifest, journal, awaiting)
        report.begin(root, folder)
        try:
            yield record
        except CryptoArchiveError as error:
            report.error = report.error or error.summary
            raise
        finally:
            record._close()

    def take(self, event: Event) -> Event:
        """Take in an event, and return it; raises RootUnusable when the root cannot be written to."""
        self.report.add(event)
        self._progress.add(event)
        try:  # ``explain_root_errors`` without its cost: there are very many events
            self._keep(event)
        except OSError as error:
            raise root_unusable(self._root, error) from error
        return event

    def _keep(self, event: Event) -> None:
        now = datetime.now(UTC)
        line = event_line(event, now)
        if line is not None:
            self._journal.write(line + "\n")
        if isinstance(event, ObjectFinished):
            self._remember(event, now)
        elif isinstance(event, SeriesAnswered):
            self.manifest.record_days(event.days, now)
        elif isinstance(event, ObjectPlanned) and (known := event.planned.adopted or event.planned.noted) is not None:
            self.manifest.record(known)
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        self.manifest.flush()
        self._journal.flush()
        self._flushed_at = time.monotonic()

    def _remember(self, event: ObjectFinished, now: datetime) -> None:
        judged = event.outcome is Outcome.PRESENT and event.sha256  # by another sidecar
        if judged or event.outcome in {Outcome.FETCHED, Outcome.UPDATED}:
            self.manifest.record(_entry(event, now, self._run_id))
        elif event.outcome is Outcome.ABSENT:
            self.manifest.record_absent(event.object.key, Absence(event.reason), now)
        elif event.outcome is not Outcome.PRESENT and not event.refused:
            self._note_failed(event)
        if self._awaiting is not None:
            self._awaiting.note(self.manifest, event)
        if event.month_days is not None:
            self.manifest.record_month(event.object.key, event.month_days)

    def _note_failed(self, event: ObjectFinished) -> None:
        """Add an object to ``failed.s5cmd``, which can be run by hand with s5cmd in the archive root."""
        request, item = self.report.request, event.object
        with_sidecar = request.fetching.download_checksum and (event.remote is None or event.remote.has_sidecar)
        with (self.folder / "failed.s5cmd").open("a", encoding="utf-8") as file:
            for key in (item.key, item.sidecar_key) if with_sidecar else (item.key,):
                target = self._root.layout.path(key)
                file.write(copy_line(request.access.bucket, key, target, request.fetching.part_size_mb) + "\n")

    def _close(self) -> None:
        """Write what is left; what the disk does not take is an error of the run."""
        for write in (self._stop_waiting, self.manifest.close, self._journal.close, self._write_report):
            try:
                with explain_root_errors(self._root):
                    write()
            except EnvironmentFailure as error:
                self.report.error = self.report.error or error.summary

    def _stop_waiting(self) -> None:
        if self._awaiting is not None:
            self.manifest.stop_waiting(self._awaiting.today)

    def _write_report(self) -> None:
        """Write the report in one step, so that it is never read half-written."""
        text = json_text(self.report.document(), indent=2) + "\n"
        with atomic_write(self.folder / "report.json") as file:
            file.write(text)
        self._progress.remove()


def _entry(event: ObjectFinished, now: datetime, run_id: str) -> ManifestEntry:
    return ManifestEntry(
        key=event.object.key,
        size=event.size,
        sha256=event.sha256,
        verdict=event.verdict or Verdict.UNPROVEN,
        etag=event.etag,
        last_modified=event.remote.last_modified if event.remote else None,
        fetched_at=now,
        run_id=run_id,
        sidecar_etag=event.sidecar_etag,
    )


_FINISHED, _COVERED = (_with_dashes(kind.__name__) for kind in (ObjectFinished, DaysCovered))
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
            if _FINISHED not in line and _COVERED not in line:  # parsing every line would take much longer
                continue
            try:
                event = json.loads(line)
            except ValueError:  # cut off by a full disk
                continue
            if event["event"] == _FINISHED and event["outcome"] in STORED:
                yield event["key"], False
            elif event["event"] == _COVERED:
                yield from ((key, True) for key in event["moved"])
