"""What the rows of a manifest say, as values; and the same back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from crypto_archive.model import Absence, ManifestEntry, Verdict
from crypto_archive.trust.database import UnreadableRow

Row = tuple[str, int, str, str, str, str | None, str, str]
"""Of a stored object, in the order of ``database.FIELDS``."""
AbsenceRow = tuple[str, str, str]
"""Of an object that the archive did not have: key, reason, time."""


@dataclass(frozen=True, slots=True)
class AbsenceRecord:
    """That the archive did not have an object.

    Attributes:
        key: The object's key.
        reason: Why not.
        seen_at: When that was found, UTC.
    """

    key: str
    reason: Absence
    seen_at: datetime


def row_of(entry: ManifestEntry) -> Row:
    """Return the row of an entry.

    Raises:
        ValueError: A time has no time zone.
    """
    modified = None if entry.last_modified is None else text_of(entry.last_modified)
    fetched = text_of(entry.fetched_at)
    return (entry.key, entry.size, entry.sha256, entry.verdict.value, entry.etag, modified, fetched, entry.run_id)


def entry_of(row: Row) -> ManifestEntry:
    """Return the entry of a row.

    Raises:
        UnreadableRow: No version of this tool has written such a row.
    """
    key, size, sha256, verdict, etag, modified, fetched, run_id = row
    try:
        return ManifestEntry(
            key=key,
            size=size,
            sha256=sha256,
            verdict=Verdict(verdict),
            etag=etag,
            last_modified=datetime.fromisoformat(modified) if modified else None,
            fetched_at=datetime.fromisoformat(fetched),
            run_id=run_id,
        )
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def absence_of(row: AbsenceRow) -> AbsenceRecord:
    """Return what a row says of an object that the archive did not have.

    Raises:
        UnreadableRow: No version of this tool has written such a row.
    """
    key, reason, seen_at = row
    try:
        return AbsenceRecord(key, Absence(reason), datetime.fromisoformat(seen_at))
    except (ValueError, TypeError) as error:
        raise UnreadableRow(str(error)) from error


def text_of(moment: datetime) -> str:
    """Return a time as rows have it: as text that sorts by time.

    Raises:
        ValueError: It has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"The time {moment} has no zone; times are UTC here.")
    return moment.astimezone(UTC).isoformat()
