"""The record of a run: journal, manifest, ``failed.s5cmd`` and report, written as events come."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import IO, TYPE_CHECKING

from crypto_archive.errors import CryptoArchiveError, EnvironmentFailure
from crypto_archive.events import ObjectFinished, ObjectPlanned, ObjectsKept, SeriesAnswered
from crypto_archive.files import atomic_write
from crypto_archive.jobs.journal import JOURNAL, event_line
from crypto_archive.jobs.progress import ProgressNote
from crypto_archive.model import STORED, Absence, ManifestEntry, Outcome, Verdict
from crypto_archive.plan.awaited import moves_on, wanted_by
from crypto_archive.root.manifest import Awaited, Manifest
from crypto_archive.root.store import explain_root_errors, root_unusable
from crypto_archive.s5cmd.runfile import Parts, copy_line
from crypto_archive.text import json_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.config.run_config import Selection
    from crypto_archive.events import Event
    from crypto_archive.jobs.report import Report
    from crypto_archive.plan.lockfile import Wait
    from crypto_archive.root.store import Root


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

    def note_kept(self, manifest: Manifest, event: ObjectsKept) -> None:
        """Let the manifest know which objects that the plan of the lock file had waited for are in place."""
        for item in event.planned if self.published else ():
            if (who := self.published.get(item.object.key)) is not None:
                manifest.record_awaited(Awaited(item.object.key, who, self.today))


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
        self.take_all((event,))
        return event

    def take_all(self, events: Iterable[Event]) -> None:
        """Take in events that have come together, and so have one time.

        Raises RootUnusable when the root cannot be written to, after all of them are counted and, where possible, kept.
        """
        now = datetime.now(UTC)
        at = now.isoformat(timespec="milliseconds")
        lines: list[str] = []
        failure: OSError | EnvironmentFailure | None = None
        for event in events:
            self.report.add(event)
            self._progress.add(event)
            if (line := event_line(event, at)) is not None:
                lines.append(line + "\n")
            try:
                self._remember(event, now)
            except (OSError, EnvironmentFailure) as error:
                failure = failure or error
        try:
            if lines:
                self._journal.write("".join(lines))
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._flush()
        except (OSError, EnvironmentFailure) as error:
            failure = failure or error
        if failure is not None:
            raise root_unusable(self._root, failure) if isinstance(failure, OSError) else failure

    def _remember(self, event: Event, now: datetime) -> None:
        """Note what later runs have to know."""
        if isinstance(event, ObjectFinished):
            self._remember_finished(event, now)
        elif isinstance(event, ObjectPlanned):
            known = event.planned.adopted or event.planned.noted
            if known is not None:
                self.manifest.record(known)
        elif isinstance(event, SeriesAnswered):
            self.manifest.record_days(event.days, now)
        elif isinstance(event, ObjectsKept) and self._awaiting is not None:
            self._awaiting.note_kept(self.manifest, event)

    def _flush(self) -> None:
        self.manifest.flush()
        self._journal.flush()
        self._flushed_at = time.monotonic()

    def _remember_finished(self, event: ObjectFinished, now: datetime) -> None:
        if event.outcome is Outcome.PRESENT:
            if event.sha256:  # judged by another sidecar
                self.manifest.record(_entry(event, now, self._run_id))
        elif event.outcome in STORED:
            self.manifest.record(_entry(event, now, self._run_id))
        elif event.outcome is Outcome.ABSENT:
            self.manifest.record_absent(event.object.key, Absence(event.reason), now)
        elif not event.refused:
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
                file.write(copy_line(request.access.bucket, key, target, Parts(request.fetching.part_size_mb)) + "\n")

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
    verdict, modified = event.verdict or Verdict.UNPROVEN, event.remote.last_modified if event.remote else None
    return ManifestEntry(
        event.object.key, event.size, event.sha256, verdict, event.etag, modified, now, run_id, event.sidecar_etag
    )
