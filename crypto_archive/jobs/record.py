"""The record of a run: its folder below ``runs/``, and everything that is remembered of it."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING

from crypto_archive.errors import CryptoArchiveError, EnvironmentFailure
from crypto_archive.events import ObjectPlanned, ObjectSettled
from crypto_archive.model import Absence, ManifestEntry, Outcome, Verdict
from crypto_archive.report.journal import event_line
from crypto_archive.s5cmd.runfile import copy_line
from crypto_archive.trust.manifest import Manifest
from crypto_archive.trust.store import explained, root_unusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_archive.events import Event
    from crypto_archive.report.fold import Report
    from crypto_archive.trust.store import Root

FLUSH_SECONDS = 2.0
"""How long what is remembered may wait in memory, in seconds; files are safe at their final paths all along."""
JOURNAL_BYTES = 1 << 18
"""How much of the journal may wait with it, in bytes."""


class Record:
    """Takes every event of a run, in one thread, and keeps report, manifest, journal and ``failed.s5cmd``.

    Attributes:
        folder: The run's folder.
        report: The report so far.
        manifest: The manifest, open for writing in the thread that made the record.
    """

    def __init__(self, root: Root, folder: Path, report: Report, manifest: Manifest, journal: IO[str]) -> None:
        self._root = root
        self.folder = folder
        self.report = report
        self._run_id = folder.name
        self.manifest = manifest
        self._journal = journal
        self._flushed_at = time.monotonic()

    @classmethod
    @contextmanager
    def opened(cls, root: Root, run_id: str, report: Report) -> Iterator[Record]:
        """Open the record of a new run; the report is written when the context is left, in whatever way.

        What cannot be written then is told by the report's ``error``, so that the run does not count as a success.

        Raises:
            EnvironmentFailure: The manifest is damaged, or a newer version of this tool wrote it.
            RootUnusable: The disk is full, or the root cannot be written to.
        """
        folder = root.runs / run_id
        with ExitStack() as stack:
            with explained(root):
                folder.mkdir(parents=True)
                manifest = Manifest(root.manifest_path)
                stack.callback(manifest.close)
                path = folder / "events.jsonl"
                journal = stack.enter_context(path.open("w", encoding="utf-8", buffering=JOURNAL_BYTES))
            stack.pop_all()
        record = cls(root, folder, report, manifest, journal)
        report.folder = folder
        try:
            yield record
        except CryptoArchiveError as error:
            report.error = report.error or error.told
            raise
        finally:
            record._close()

    def take(self, event: Event) -> Event:
        """Take in an event, and hand it on.

        Raises:
            RootUnusable: The disk is full, or the root cannot be written to.
        """
        self.report.add(event)
        try:  # what ``explained`` does, without its cost, for there are very many events
            self._keep(event)
        except OSError as error:
            raise root_unusable(self._root, error) from error
        return event

    def _keep(self, event: Event) -> None:
        line = event_line(event)
        if line is not None:
            self._journal.write(line + "\n")
        if isinstance(event, ObjectSettled):
            self._remember(event)
        elif isinstance(event, ObjectPlanned) and event.planned.adopted is not None:
            self.manifest.record(event.planned.adopted)
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        self.manifest.flush()
        self._journal.flush()
        self._flushed_at = time.monotonic()

    def _remember(self, event: ObjectSettled) -> None:
        now = datetime.now(UTC)
        if event.outcome in {Outcome.FETCHED, Outcome.UPDATED}:
            self.manifest.record(_entry(event, now, self._run_id))
        elif event.outcome is Outcome.ABSENT:
            self.manifest.record_absent(event.object.key, Absence(event.reason), now)
        elif event.outcome is not Outcome.PRESENT and not event.refused:
            self._note_failed(event)

    def _note_failed(self, event: ObjectSettled) -> None:
        """Add an object to ``failed.s5cmd``, which s5cmd can run by hand in the folder that is to hold it."""
        request, item = self.report.request, event.object
        with_sidecar = request.fetching.download_checksum and (event.remote is None or event.remote.has_sidecar)
        with (self.folder / "failed.s5cmd").open("a", encoding="utf-8") as file:
            for key in (item.key, item.sidecar_key) if with_sidecar else (item.key,):
                goal = self._root.layout.path(key)
                file.write(copy_line(request.access.bucket, key, goal, request.fetching.part_size_mb) + "\n")

    def _close(self) -> None:
        """Write what is left to be written; what the disk does not take is an error of the run."""
        for write in (self.manifest.close, self._journal.close, self._write_report):
            try:
                with explained(self._root):
                    write()
            except EnvironmentFailure as error:
                self.report.error = self.report.error or error.told

    def _write_report(self) -> None:
        """Write the report in one step, so that nobody reads half of one."""
        text = json.dumps(self.report.document(), indent=2, ensure_ascii=False) + "\n"
        draft = self.folder / "report.json.part"
        try:
            draft.write_text(text, encoding="utf-8")
            draft.replace(self.folder / "report.json")
        except OSError:
            with suppress(OSError):
                draft.unlink()
            raise


def _entry(event: ObjectSettled, now: datetime, run_id: str) -> ManifestEntry:
    return ManifestEntry(
        key=event.object.key,
        size=event.size,
        sha256=event.sha256,
        verdict=event.verdict or Verdict.UNPROVEN,
        etag=event.etag,
        last_modified=event.remote.last_modified if event.remote else None,
        fetched_at=now,
        run_id=run_id,
    )
