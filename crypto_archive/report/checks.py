"""What ``verify`` found: a fold of its checks into totals, a document and an exit code."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_archive.errors import ExitCode
from crypto_archive.model import Verdict
from crypto_archive.report.interruption import interruption_code, signal_name
from crypto_archive.report.sizes import format_bytes
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.events import Checked
    from crypto_archive.model import Market
    from crypto_archive.report.fold import Report

SCHEMA_VERSION = 1
BAD_KEPT = 1000


@dataclass(slots=True)
class CheckedGroup:
    """The checks of one market and data type.

    Attributes:
        verdicts: How many objects got which verdict.
        bytes: Bytes of the files that were looked at.
    """

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    bytes: int = 0


class VerifyReport:
    """What a verification amounts to so far.

    Attributes:
        output_directory: The archive root that is verified.
        groups: Checks by market and data type, in the order in which they came.
        bad: The first objects that are bad.
        bad_omitted: How many more there are.
        seconds: How long it took, 0 while it goes on.
        interrupted_by: The signal that ended it early.
        error: What stopped it early, empty when nothing did.
        repair: The report of the run that fetched again what was bad or missing, None without one.
    """

    def __init__(
        self,
        output_directory: str,
        *,
        started_at: datetime | None = None,
        version: str = __version__,
    ) -> None:
        """Begin an empty report.

        Args:
            output_directory: The archive root.
            started_at: Wall clock, UTC; now, when not given.
            version: The version of crypto-archive.
        """
        self.output_directory = output_directory
        self.groups: dict[tuple[Market, str], CheckedGroup] = {}
        self.bad: list[Checked] = []
        self.bad_omitted = 0
        self.seconds = 0.0
        self.interrupted_by: int | None = None
        self.error = ""
        self.repair: Report | None = None
        self._started_at = started_at or datetime.now(UTC)
        self._version = version

    def add(self, checked: Checked) -> None:
        """Take in one check."""
        group = self.groups.setdefault((checked.market, checked.data_type), CheckedGroup())
        group.verdicts[checked.verdict] += 1
        group.bytes += checked.size
        if not checked.verdict.is_bad:
            return
        if len(self.bad) < BAD_KEPT:
            self.bad.append(checked)
        else:
            self.bad_omitted += 1

    def finish(self, seconds: float, *, interrupted_by: int | None = None, error: str = "") -> None:
        """Say how the verification ended.

        Args:
            seconds: How long it took, by the monotonic clock.
            interrupted_by: The number of the signal that ended it early.
            error: What stopped it early.
        """
        self.seconds, self.interrupted_by, self.error = seconds, interrupted_by, error

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """How many objects got which verdict; every verdict is there."""
        total: Counter[Verdict] = Counter()
        for group in self.groups.values():
            total.update(group.verdicts)
        return {verdict: total[verdict] for verdict in Verdict}

    @property
    def objects(self) -> int:
        """How many objects were checked."""
        return sum(group.verdicts.total() for group in self.groups.values())

    @property
    def bytes(self) -> int:
        """Bytes of the files that were looked at."""
        return sum(group.bytes for group in self.groups.values())

    @property
    def status(self) -> str:
        """The verification in a word: ``success``, ``bad``, ``empty``, ``interrupted`` or ``failed``."""
        if self.error:
            return "failed"
        if self.interrupted_by is not None:
            return "interrupted"
        if self.bad:
            return "bad"
        return "success" if self.objects else "empty"

    def exit_code(self) -> ExitCode:
        """Return how the command ends: as its repair, if there was one; a check of nothing at all is no success."""
        if self.error:
            return ExitCode.ENVIRONMENT
        if self.interrupted_by is not None:
            return interruption_code(self.interrupted_by)
        if self.repair is not None:
            return self.repair.exit_code()
        return {"bad": ExitCode.VERIFICATION, "empty": ExitCode.PARTIAL}.get(self.status, ExitCode.OK)

    def document(self) -> dict[str, object]:
        """Return the report as ``docs/verify.schema.json`` describes it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "started_at": self._started_at.isoformat(),
            "seconds": round(self.seconds, 3),
            "interrupted_by": None if self.interrupted_by is None else signal_name(self.interrupted_by),
            "error": self.error or None,
            "output_directory": self.output_directory,
            "objects": self.objects,
            "bytes": self.bytes,
            "total_size_formatted": format_bytes(self.bytes),
            "verdicts": _by_name(self.verdicts),
            "by_market_and_type": list(self._group_documents()),
            "bad": [_bad_document(checked) for checked in self.bad],
            "bad_omitted": self.bad_omitted,
            "repair": None if self.repair is None else self.repair.document(),
            "versions": {"crypto_archive": self._version},
        }

    def _group_documents(self) -> Iterator[dict[str, object]]:
        for (market, data_type), group in self.groups.items():
            yield {
                "market": str(market),
                "data_type": data_type,
                "objects": group.verdicts.total(),
                "bytes": group.bytes,
                "verdicts": _by_name(group.verdicts),
            }


def _by_name(verdicts: dict[Verdict, int]) -> dict[str, int]:
    return {str(verdict): verdicts[verdict] for verdict in Verdict}


def _bad_document(checked: Checked) -> dict[str, object]:
    return {
        "key": checked.object_key,
        "market": str(checked.market),
        "data_type": checked.data_type,
        "verdict": str(checked.verdict),
        "reason": checked.reason,
        "size": checked.size,
    }
