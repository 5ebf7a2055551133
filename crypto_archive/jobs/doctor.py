"""Doctor: checks whether this machine is ready for a run, and explains how to fix what is not."""

from __future__ import annotations

import importlib.metadata
import ipaddress
import os
import platform
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crypto_archive import __version__
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.config.fields import misspelt_variables
from crypto_archive.errors import CryptoArchiveError, ExitCode
from crypto_archive.root.database import examine
from crypto_archive.root.layout import read_note
from crypto_archive.root.lock import RootLock, shards_of
from crypto_archive.root.store import Root, free_bytes
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.listing import probe
from crypto_archive.s5cmd.output import Fault
from crypto_archive.text import format_bytes
from crypto_archive.transfer.concurrency import concurrency_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from crypto_archive.config.run_config import Access, RunConfig
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.s5cmd.listing import Probe


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Runs work, or may work, but a person should know."""
    FAILED = "failed"
    """No run can work, or none that can be trusted."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        status: How it ended.
        found: What was found.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    status: CheckStatus
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that found all in order."""
    return Check(name, CheckStatus.OK, found)


def warning(name: str, found: str, advice: str) -> Check:
    """Return a check that found something that a person should know."""
    return Check(name, CheckStatus.WARNING, found, advice)


def failed(name: str, found: str, advice: str) -> Check:
    """Return a check that found what keeps runs from working."""
    return Check(name, CheckStatus.FAILED, found, advice)


def not_looked_at(name: str, why: str, first: str) -> Check:
    """Return a check that could not be made, because another one failed.

    Args:
        name: What was to be looked at.
        why: What kept it from that.
        first: The check that failed.
    """
    return Check(name, CheckStatus.WARNING, f"not looked at: {why}", f"See to {first} first.")


DISTRIBUTION = "crypto-archive"

_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*).*;.*\bextra == ['\"]([\w.-]+)['\"]")


def check_program() -> Check:
    """Say which crypto-archive this is, and on what it runs."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return ok("crypto-archive", f"{__version__}, Python {platform.python_version()}, {system}")


def check_matrix(configured: RunConfig) -> Check:
    """Say which matrix counts."""
    matrix = configured.matrix
    origin = configured.origins.get("matrix_path")
    where = f", from {origin}" if origin else ""
    return ok("matrix", f"{matrix.name} {matrix.version}, {len(matrix.rows)} rows{where}")


def check_settings(configured: RunConfig) -> Check:
    """Say which settings are from the environment, and which variables mean nothing."""
    found = [field for field, origin in configured.origins.items() if origin.isupper() or origin.startswith(".env, ")]
    told = f"{len(found)} of the environment: {', '.join(found)}" if found else "none of the environment"
    if misspelt := misspelt_variables():
        return warning("settings", told, "; ".join(notice.text for notice in misspelt))
    return ok("settings", told)


def check_extras() -> Check:
    """Say which extras are installed, without importing them."""
    try:
        wanted = _extras(importlib.metadata.requires(DISTRIBUTION) or [])
    except importlib.metadata.PackageNotFoundError:
        return ok("extras", "unknown: it runs from its source, not from an installed package")
    versions = {name: {one: _version(one) for one in needed} for name, needed in wanted.items()}
    begun = {name: found for name, found in versions.items() if any(found[one] for one in _own(name, wanted))}
    told = ", ".join(
        _told(name, found) if name in begun else f"{name} not installed" for name, found in versions.items()
    )
    half = [name for name, found in begun.items() if not all(found.values())]
    if half:
        return warning("extras", told, f"`pip install '{DISTRIBUTION}[{','.join(half)}]'` completes what is missing.")
    return ok("extras", told or "there are none")


def find_s5cmd(configured: RunConfig, seconds: float) -> Binary:
    """Return the s5cmd that runs would use.

    Raises:
        S5cmdUnusable: There is none, it is too old, or it cannot be run.
    """
    return find_binary(configured.request.access.s5cmd, seconds=seconds)


def check_open_files(configured: RunConfig) -> Check:
    """Say whether as many files may be open at once as the run's s5cmd processes need.

    Raises:
        EnvironmentFailure: Not even one of them could work.
    """
    jobs = configured.request.fetching.jobs
    concurrency = concurrency_for(jobs, raise_limit=False)
    if concurrency.notice is not None:
        advice = "`ulimit -n 1024` in the shell that starts it, or LimitNOFILE= in a unit of systemd, lifts that."
        return warning("open files", f"enough for {concurrency.lanes} of {jobs} s5cmd processes side by side", advice)
    return ok("open files", f"enough for {jobs} s5cmd processes side by side")


def _extras(requirements: list[str]) -> Mapping[str, list[str]]:
    """Return what each extra installs, by the extra's name."""
    wanted: dict[str, list[str]] = {}
    for requirement in requirements:
        if (found := _REQUIREMENT.match(requirement)) and found[1] != DISTRIBUTION:
            wanted.setdefault(found[2], []).append(found[1])
    return wanted


def _own(extra: str, wanted: Mapping[str, list[str]]) -> list[str]:
    """Return what only this extra installs, as far as there is any: what others install too is no sign of it."""
    others = {one for name, needed in wanted.items() if name != extra for one in needed}
    return [one for one in wanted[extra] if one not in others] or wanted[extra]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _told(extra: str, found: Mapping[str, str | None]) -> str:
    parts = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    return f"{extra} ({parts})"


_CERTIFICATES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_SECRET = re.compile(r"^(\w+://)?[^/@]*@")
_PORTS = {"http": 80, "https": 443}


def check_proxy(access: Access, environ: Mapping[str, str] | None = None) -> Check:
    """Say through which proxy s5cmd will go, and which certificates it will trust besides those of the system.

    Args:
        access: How the bucket is reached.
        environ: The environment variables; None for those of this process.
    """
    environ = os.environ if environ is None else environ
    proxy = proxy_for(access.endpoint_url, environ)
    certificates = {name: environ[name] for name in _CERTIFICATES if environ.get(name)}
    told = "; ".join([proxy or "none", *(f"{name}={path}" for name, path in certificates.items())])
    if missing := [name for name, path in certificates.items() if not Path(path).exists()]:
        return warning("proxy", told, f"{missing[0]} names what is not there; correct it or unset it.")
    if proxy is None and _set("ALL_PROXY", environ):
        meant = f"{urlsplit(access.endpoint_url).scheme.upper()}_PROXY"
        return warning("proxy", told, f"s5cmd does not know ALL_PROXY; set {meant} if that proxy is to be used.")
    return ok("proxy", told)


def proxy_for(endpoint_url: str, environ: Mapping[str, str]) -> str | None:
    """Return the variable that names a proxy for an endpoint, without secrets; or why it does not count; None for none.

    Args:
        endpoint_url: The S3 endpoint.
        environ: The environment variables.
    """
    url = urlsplit(endpoint_url)
    host = url.hostname or ""
    variable = _set(f"{url.scheme.upper()}_PROXY", environ)
    if variable is None:
        return None
    if host == "localhost" or _is_loopback(host):
        return f"none for {host}, which is this machine ({variable} is set)"
    excepted = _set("NO_PROXY", environ)
    port = url.port or _PORTS.get(url.scheme, 0)
    if excepted and any(_spares(one.strip().lower(), host, port) for one in environ[excepted].split(",")):
        return f"none for {host}, because of {excepted} ({variable} is set)"
    return f"{variable}={_SECRET.sub(lambda found: found[1] or '', environ[variable])}"


def _set(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of a variable as it is set, None where it is not; capital letters go before small ones."""
    return next((one for one in (name, name.lower()) if environ.get(one)), None)


def _spares(word: str, host: str, port: int) -> bool:
    """Whether a word of NO_PROXY is for a host: ``*``, an address, a network, a domain; maybe with a port."""
    name, colon, number = word.rpartition(":")
    if colon and number.isdigit() and not name.endswith(":"):
        if int(number) != port:
            return False
        word = name
    word = word.removeprefix("*.") if word.startswith("*.") else word
    if word == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(word.strip("[]"), strict=False)
    except ValueError:  # one of them is a name
        return bool(word) and (host == word or host.endswith("." + word.removeprefix(".")))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


PREFIX = "data/"
"""What is listed for the trial: a handful of folders, in one request."""
NOTABLE_SECONDS = 60.0
"""How far the clocks may be apart before it is told."""
FAILING_SECONDS = 900.0
"""How far they may be apart before S3 refuses signed requests."""

_PREAMBLE = re.compile(r'^RequestError: send request failed caused by: \w+ "[^"]*": ')
"""What s5cmd says before it says what is wrong."""
_NETWORK = "Check the network, the proxy settings and --endpoint-url."
_CLOCK = "Set the clock, by NTP for example"


def check_endpoint(access: Access, trial: Probe) -> Check:
    """Say whether the server answers."""
    if trial.answered:
        return ok("endpoint", f"{access.endpoint_url} answers ({trial.seconds:.2f} s)")
    why = _PREAMBLE.sub("", trial.error) or "it said nothing"
    return failed("endpoint", f"{access.endpoint_url} cannot be reached: {why}", _NETWORK)


def check_listing(access: Access, trial: Probe) -> Check:
    """Say whether the server lets the bucket be listed."""
    where = f"{access.bucket}/{PREFIX}"
    if not trial.answered:
        return not_looked_at("listing", "the endpoint was not reached", "the endpoint")
    if trial.fault is Fault.DENIED:
        advice = "Runs with `--discover calendar` need no listing. " + (
            "The archive is public; a proxy or a firewall may be in the way."
            if access.anonymous
            else "Try it without --profile and --credentials-file in s5cmd_extra_args: the archive is public."
        )
        return failed("listing", f"{where} is denied: {trial.error}", advice)
    if trial.error:
        return failed("listing", f"{where} could not be listed: {trial.error}", _NETWORK)
    if not trial.folders:
        advice = "See that --endpoint-url and CRYPTO_ARCHIVE_BUCKET name the archive or a copy of it."
        return failed("listing", f"{where} has nothing in it", advice)
    return ok("listing", f"{where} is listed: {', '.join(trial.folders)}")


def check_clock(trial: Probe) -> Check:
    """Say how far the clock of this machine and the server's are apart."""
    if not trial.answered:
        return not_looked_at("clock", "the endpoint was not reached", "the endpoint")
    if trial.server_time is None or trial.local_time is None:
        return warning("clock", "the server did not say its time", "Compare the clock of this machine by hand.")
    # The server tells whole seconds, and its answer took a while.
    apart = (trial.local_time - trial.server_time).total_seconds()
    apart = max(0.0, apart - trial.seconds - 1) if apart > 0 else apart
    if abs(apart) < NOTABLE_SECONDS:
        return ok("clock", "agrees with the server's")
    told = f"{_duration(abs(apart))} {'ahead of' if apart > 0 else 'behind'} the server's"
    why = (
        "days would be asked for that are not over yet"
        if apart > 0
        else "s5cmd hides objects that are newer than this clock"
    )
    return (failed if abs(apart) >= FAILING_SECONDS else warning)("clock", told, f"{_CLOCK}: {why}.")


def _duration(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


LOW_BYTES = 1 << 30
FULL_BYTES = 1 << 24
LOW_FILES = 10_000
"""How many files a disk should have room for: an object is two of them."""

_ELSEWHERE = "Choose another folder with --output, or make this one writable for you."
_ROOM = "Free some space, or choose another disk with --output."


def check_writable(root: Root) -> Check:
    """Say whether runs can write to the root, or could make it."""
    there = _nearest(root.path)
    if not there.is_dir():
        return failed("archive root", f"{there} is no folder", "Move it away, or choose another folder with --output.")
    for folder in (there, root.data, root.shared, root.staging):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            return failed("archive root", f"{folder} cannot be written to", _ELSEWHERE)
    if there != root.path:
        return ok("archive root", f"{root.path} does not exist yet; {there} can be written to")
    return ok("archive root", f"{root.path} can be written to")


def check_space(root: Root) -> Check:
    """Say how much may still be written to the root's disk: bytes, and files where the disk counts them."""
    free, files = free_bytes(root), _free_files(_nearest(root.path))
    told = f"{format_bytes(free)} free" + ("" if files is None else f", room for {files:,} files")
    if free < FULL_BYTES or files == 0:
        return failed("space", told, _ROOM)
    if free < LOW_BYTES or (files is not None and files < LOW_FILES):
        return warning("space", told, f"{_ROOM} `crypto-archive plan` says what a collect would need.")
    return ok("space", told)


def check_lock(root: Root) -> Check:
    """Say who holds the lock of the root, if anybody does.

    Raises:
        RootUnusable: The lock's file cannot be opened.
    """
    if not _is_held(root):
        left = RootLock(root).holder() is None and root.lock_path.with_name("lock.json").exists()
        return ok("lock", "free; its last holder was killed" if left else "free")
    locked = RootLock(root).refusal()
    return warning("lock", locked.message, locked.hint)


def check_layout(root: Root) -> Check:
    """Say which layout the root has, and whether its files are on their way to another.

    Raises:
        RootUnusable: The root's note of it cannot be read.
    """
    note = read_note(root)
    if note is not None and note.moving_to:
        advice = f"Run `crypto-archive relayout --to {note.moving_to!r}` with the same --output until it has ended."
        return failed("layout", f"files are on their way from {note.layout!r} to {note.moving_to!r}", advice)
    return ok("layout", MIRROR.name if note is None else note.layout)


def check_shards(root: Root) -> Check:
    """Say which shards run in the root, and which have left what they know to be joined.

    Raises:
        RootUnusable: Their folder cannot be read.
    """
    held = {shard.private.name: _is_held(shard) for shard in shards_of(root)}
    running, left = ([name for name, runs in held.items() if runs is wanted] for wanted in (True, False))
    told = "; ".join(
        f"{len(names)} {what}: {', '.join(names)}" for names, what in ((running, "running"), (left, "left")) if names
    )
    if left and not running:
        advice = "The next run in this root joins what they know to its manifest; nothing else is to be done."
        return warning("shards", told, advice)
    return ok("shards", told or "none")


def check_manifest(root: Root, seconds: float) -> Check:
    """Say whether the manifest is sound.

    Args:
        root: The archive root.
        seconds: How long that may take.

    Raises:
        EnvironmentFailure: It is damaged, or cannot be used.
    """
    if not root.manifest_path.exists():
        return ok("manifest", "none yet")
    seen = examine(root.manifest_path, seconds)
    told = f"version {seen.version}" + ("" if seen.objects is None else f", {seen.objects:,} objects")
    if not seen.complete:
        advice = "`crypto-archive verify --all` looks at all that it says."
        return warning("manifest", f"{told}; not looked through within {seconds:g} seconds", advice)
    return ok("manifest", f"sound, {told}")


def _is_held(root: Root) -> bool:
    """Whether somebody holds a lock; where its file is missing, nobody does, and it is not to be made."""
    return root.lock_path.exists() and RootLock(root).is_held()


def _nearest(path: Path) -> Path:
    """Return what there is of a path: itself, or the nearest above it that exists."""
    return next(one for one in (path, *path.parents) if os.path.lexists(one))


def _free_files(folder: Path) -> int | None:
    """Return how many files the disk has room for; None where it does not count them."""
    if not hasattr(os, "statvfs"):
        return None
    disk = os.statvfs(folder)
    return disk.f_favail if disk.f_files else None


S5CMD_SECONDS = 10.0
NETWORK_SECONDS = 10.0
MANIFEST_SECONDS = 10.0


def doctor(configured: RunConfig) -> Iterator[Check]:
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


def _s5cmd(configured: RunConfig, found: list[Binary]) -> Check:
    binary = find_s5cmd(configured, S5CMD_SECONDS)
    found.append(binary)
    return ok("s5cmd", f"{binary.version}, {binary.path}")


def _of_network(configured: RunConfig, found: Sequence[Binary]) -> Iterator[Check]:
    """Yield what one listing says of the network; only s5cmd speaks to the server, so without one it is not asked."""
    names = ("endpoint", "listing", "clock")
    if not found:
        for name in names:
            yield not_looked_at(name, "only s5cmd asks the server", "s5cmd")
        return
    access = configured.request.access
    try:
        trial = probe(found[0], access, PREFIX, NETWORK_SECONDS)
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
