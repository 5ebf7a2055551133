"""The flow once, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crypto_archive import ExitCode
from crypto_archive.flows.collection import archive_collection_flow
from crypto_archive.flows.outcome import CollectionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping


def run_once(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], ExitCode]:
    """Run the flow, and return its document and how a command ends for it; a run that is not whole has one, too.

    Args:
        parameters: The parameters of the flow.

    Raises:
        CryptoArchiveError: The run could not begin.
    """
    state: Any = archive_collection_flow(**parameters, return_state=True)
    result = state.result(raise_on_failure=False)
    if isinstance(result, CollectionFailed):
        return result.result, ExitCode.INTERRUPTED if state.is_cancelled() else result.exit_code
    if isinstance(result, BaseException):
        raise result
    return result, ExitCode.OK
