"""How a collection ends that is not whole: as errors which carry what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive import CryptoArchiveError, ExitCode, Outcome, Report
from crypto_archive.render.headline import headline

if TYPE_CHECKING:
    from typing import Any


class ShardIncomplete(CryptoArchiveError):
    """A shard that was not collected whole.

    Attributes:
        report: What came of it.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(headline(report))
        self.args = (report,)  # by which it is made anew when it comes from another process
        self.report = report
        self.exit_code = report.exit_code()


class CollectionFailed(CryptoArchiveError):
    """A flow run that did not end whole: partial, failed, empty, interrupted, or with a bad verification.

    Attributes:
        result: The document of the run, as ``archive_collection_flow`` returns it for one that did.
    """

    def __init__(self, result: dict[str, Any]) -> None:
        super().__init__(result["reason"])
        self.args = (result,)
        self.result = result
        self.exit_code = ExitCode(result["exit_code"])


def helps_to_try_again(report: Report) -> bool:
    """Whether another attempt can make a run whole that is not.

    The lanes of a run have tried again whatever was worth it, so that an object that failed at its first attempt is
    refused for good. What ran out of attempts, or was never tried, may come the next time.
    """
    if report.interrupted_by is not None or report.status in {"success", "empty"}:
        return False
    if report.error:
        return report.error_exit_code in {None, ExitCode.ENVIRONMENT}
    return bool(report.outcomes[Outcome.CANCELLED]) or any(failure.attempts > 1 for failure in report.failures)
