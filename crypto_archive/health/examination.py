"""All checks, one after the other; what goes wrong with one of them does not keep the others from being made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.errors import CryptoArchiveError, ExitCode
from crypto_archive.health.check import Check, CheckStatus, failed, not_looked_at, ok
from crypto_archive.health.installation import (
    check_extras,
    check_matrix,
    check_open_files,
    check_program,
    check_settings,
    find_s5cmd,
)
from crypto_archive.health.network import PREFIX, check_clock, check_endpoint, check_listing
from crypto_archive.health.proxy import check_proxy
from crypto_archive.health.root import (
    check_layout,
    check_lock,
    check_manifest,
    check_shards,
    check_space,
    check_writable,
)
from crypto_archive.s5cmd.trial import try_listing
from crypto_archive.trust.store import Root
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from crypto_archive.config import Configured
    from crypto_archive.s5cmd.binary import Binary

S5CMD_SECONDS = 10.0
NETWORK_SECONDS = 10.0
MANIFEST_SECONDS = 10.0


def doctor(configured: Configured) -> Iterator[Check]:
    """Yield checks of everything that a run needs; changes nothing, and makes no archive root.

    Each takes seconds at most; a network that is dead is told within ``NETWORK_SECONDS``.

    Args:
        configured: What a run would be made with: where the root is, how the bucket is reached, how many jobs.

    Example:
        >>> from crypto_archive import CheckStatus, doctor, load_preset
        >>> [check.name for check in doctor(load_preset()) if check.status is CheckStatus.FAILED]
        []
    """
    yield _made("crypto-archive", check_program)
    yield _made("matrix", lambda: check_matrix(configured))
    yield _made("settings", lambda: check_settings(configured))
    yield _made("extras", check_extras)
    yield _made("open files", lambda: check_open_files(configured))
    yield from _of_root(Root(configured.request.root.absolute()))
    binary: list[Binary] = []
    yield _made("s5cmd", lambda: _s5cmd(configured, binary))
    yield _made("proxy", lambda: check_proxy(configured.request.access))
    yield from _of_network(configured, binary)


def doctor_status(checks: Sequence[Check]) -> CheckStatus:
    """Return the worst that any check has come to."""
    order = [*CheckStatus]
    return max((check.status for check in checks), key=order.index, default=CheckStatus.OK)


def doctor_exit_code(checks: Sequence[Check]) -> ExitCode:
    """Return what the command ends with: 5 where a check has failed."""
    return ExitCode.ENVIRONMENT if doctor_status(checks) is CheckStatus.FAILED else ExitCode.OK


def doctor_document(checks: Sequence[Check]) -> dict[str, object]:
    """Return checks as a JSON document."""
    return {
        "schema_version": 1,
        "version": __version__,
        "status": str(doctor_status(checks)),
        "exit_code": int(doctor_exit_code(checks)),
        "checks": [
            {"name": check.name, "status": str(check.status), "found": check.found, "advice": check.advice}
            for check in checks
        ],
    }


def _of_root(root: Root) -> Iterator[Check]:
    yield _made("archive root", lambda: check_writable(root))
    yield _made("space", lambda: check_space(root))
    yield _made("layout", lambda: check_layout(root))
    yield _made("lock", lambda: check_lock(root))
    yield _made("shards", lambda: check_shards(root))
    yield _made("manifest", lambda: check_manifest(root, MANIFEST_SECONDS))


def _s5cmd(configured: Configured, found: list[Binary]) -> Check:
    binary = find_s5cmd(configured, S5CMD_SECONDS)
    found.append(binary)
    return ok("s5cmd", f"{binary.version}, {binary.path}")


def _of_network(configured: Configured, found: Sequence[Binary]) -> Iterator[Check]:
    """Yield what one listing says of the network; only s5cmd speaks to the server, so without one it is not asked."""
    names = ("endpoint", "listing", "clock")
    if not found:
        for name in names:
            yield not_looked_at(name, "only s5cmd asks the server", "s5cmd")
        return
    access = configured.request.access
    try:
        trial = try_listing(found[0], access, PREFIX, NETWORK_SECONDS)
    except Exception as error:
        for name in names:
            yield _failure(name, error)
        return
    yield _made("endpoint", lambda: check_endpoint(access, trial))
    yield _made("listing", lambda: check_listing(access, trial))
    yield _made("clock", lambda: check_clock(trial))


def _made(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:
        return _failure(name, error)


def _failure(name: str, error: Exception) -> Check:
    """Return a check that could not be made, or that the error answers."""
    if isinstance(error, CryptoArchiveError):
        return failed(name, error.message, error.hint)
    if isinstance(error, OSError):
        return failed(name, f"cannot be looked at: {error}", "See that you may read what it names.")
    return failed(name, f"cannot be looked at: {error!r}", "That is a mistake in crypto-archive; please report it.")
