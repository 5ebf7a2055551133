"""Doctor: check that this machine is ready for a run, and explain how to fix what is not."""

from __future__ import annotations

import importlib.metadata
import ipaddress
import os
import platform
import re
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from crypto_archive import __version__
from crypto_archive.catalog.layouts import MIRROR
from crypto_archive.config.fields import unknown_variables
from crypto_archive.errors import CryptoArchiveError, ExitCode
from crypto_archive.jobs.report import SCHEMA_VERSION, JobReport
from crypto_archive.root.database import examine
from crypto_archive.root.layout import read_note
from crypto_archive.root.lock import RootLock, shards_of
from crypto_archive.root.store import Root, free_bytes, refuse_links
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.failure import hint_for
from crypto_archive.s5cmd.listing import probe
from crypto_archive.s5cmd.output import Fault
from crypto_archive.shown import Table, joined
from crypto_archive.text import format_bytes
from crypto_archive.transfer.concurrency import concurrency_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from crypto_archive.config.run_config import Access, RunConfig
    from crypto_archive.s5cmd.listing import Probe

SECONDS = 10.0
"""How long s5cmd's version, the network and the manifest may take, each."""
LISTED = "data/"
"""What is listed of the bucket: a few folders, in one request."""
NOTABLE_SECONDS = 60.0
"""How far apart the clocks may be without a warning."""
FAILING_SECONDS = 900.0
"""How far apart they may be before S3 refuses signed requests."""
LOW_BYTES = 1 << 30
FULL_BYTES = 1 << 24
LOW_FILES = 10_000
"""How many files a disk should have room for; an object is two of them."""
DISTRIBUTION = "crypto-archive"


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Runs work, or may work, but a person should know."""
    FAILED = "failed"
    """Runs cannot work, or cannot be trusted."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a run needs.

    Attributes:
        name: What was checked.
        status: How the check ended.
        found: What was found.
        advice: What to do about it; empty if there is nothing to do.
    """

    name: str
    status: CheckStatus
    found: str
    advice: str = ""


class Finding(NamedTuple):
    """A check without its name."""

    status: CheckStatus
    found: str
    advice: str = ""


def doctor(config: RunConfig) -> DoctorReport:
    """Check everything that a run needs, and return a ``Check`` for each: name, status, what was found, and advice.

    Changes nothing, and makes no archive root. Each check takes 10 seconds at most, also on a dead network. A check
    that cannot be made fails, and hides no other.

    Args:
        config: The run in question: where the archive root is, how the bucket is reached, how many jobs.

    Example:
        >>> from crypto_archive import doctor, load_preset
        >>> for check in doctor(load_preset()):
        ...     if check.status == "failed":
        ...         print(check.name, check.found, check.advice)
    """
    return DoctorReport([*_checks(config)])


@dataclass(eq=False, repr=False)
class DoctorReport(JobReport):
    """What ``doctor`` found; iterate over it. ``status`` is the worst of its checks: ``ok``, ``warning`` or ``failed``.

    Attributes:
        checks: What was checked.
    """

    checks: Sequence[Check]

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def document(self) -> dict[str, object]:
        """Return the checks as ``docs/doctor.schema.json`` describes them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "version": __version__,
            "status": self.status,
            "exit_code": int(self.exit_code()),
            "checks": [asdict(check) | {"status": str(check.status)} for check in self.checks],
        }

    def _result(self) -> tuple[str, ExitCode]:
        worst = max((check.status for check in self.checks), key=[*CheckStatus].index, default=CheckStatus.OK)
        return str(worst), ExitCode.ENVIRONMENT if worst is CheckStatus.FAILED else ExitCode.OK

    def _summary(self) -> str:
        counts = Counter(check.status for check in self.checks)
        return joined(self.status, *(f"{counts[status]} {status}" for status in CheckStatus if counts[status]))

    def _table(self) -> Table:
        return Table(
            ("check", "status", "found", "advice"), self.checks, attrgetter("name", "status", "found", "advice")
        )


def _checks(config: RunConfig) -> Iterator[Check]:
    root, access = Root(config.request.root.absolute()), config.request.access
    yield _checked("crypto-archive", check_program)
    yield _checked("matrix", check_matrix, config)
    yield _checked("settings", check_settings, config)
    yield _checked("extras", check_extras)
    yield _checked("open files", check_open_files, config.request.fetching.jobs)
    yield _checked("archive root", check_writable, root)
    yield _checked("space", check_space, root)
    yield _checked("layout", check_layout, root)
    yield _checked("lock", check_lock, root)
    yield _checked("shards", check_shards, root)
    yield _checked("manifest", check_manifest, root, SECONDS)
    s5cmd = _checked("s5cmd", check_s5cmd, access)
    yield s5cmd
    yield _checked("proxy", check_proxy, access, os.environ)
    if s5cmd.status is CheckStatus.FAILED:
        answer: Probe | Finding = _unchecked("only s5cmd talks to the server", "s5cmd")
    else:
        try:
            answer = probe(find_binary(access.s5cmd, seconds=SECONDS), access, LISTED, SECONDS)
        except Exception as error:
            answer = _failure(error)
    for name, check in (("endpoint", check_endpoint), ("listing", check_listing), ("clock", check_clock)):
        yield Check(name, *answer) if isinstance(answer, Finding) else _checked(name, check, access, answer)


def _checked(name: str, check: Callable[..., Finding], *subject: object) -> Check:
    try:
        return Check(name, *check(*subject))
    except Exception as error:
        return Check(name, *_failure(error))


def _failure(error: Exception) -> Finding:
    """Return the finding of a check that could not be made, or that the error answers."""
    if isinstance(error, CryptoArchiveError):
        return _failed(error.message, error.hint)
    if isinstance(error, OSError):
        return _failed(f"cannot be checked: {error}", "Make sure that you may read the file or folder it names.")
    return _failed(f"cannot be checked: {error!r}", "This is a bug in crypto-archive; please report it.")


def _ok(found: str) -> Finding:
    return Finding(CheckStatus.OK, found)


def _warning(found: str, advice: str) -> Finding:
    return Finding(CheckStatus.WARNING, found, advice)


def _failed(found: str, advice: str) -> Finding:
    return Finding(CheckStatus.FAILED, found, advice)


def _unchecked(reason: str, first: str) -> Finding:
    return _warning(f"not checked: {reason}", f"Fix {first} first.")


# The program and its settings


def check_program() -> Finding:
    """The versions of crypto-archive, Python and the system."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return _ok(f"{__version__}, Python {platform.python_version()}, {system}")


def check_matrix(config: RunConfig) -> Finding:
    """The matrix in use."""
    matrix, origin = config.matrix, config.origins.get("matrix_path")
    return _ok(f"{matrix.name} {matrix.version}, {len(matrix.rows)} rows" + (f", from {origin}" if origin else ""))


def check_settings(config: RunConfig) -> Finding:
    """Where settings come from that are not the defaults, and variables that have no effect."""
    found = "; ".join(f"{field} from {origin}" for field, origin in config.origins.items()) or "all are the defaults"
    if unknown := unknown_variables():
        return _warning(found, "; ".join(notice.text for notice in unknown))
    return _ok(found)


_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*).*;.*\bextra == ['\"]([\w.-]+)['\"]")


def check_extras() -> Finding:
    """The extras that are installed; they are not imported."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return _ok("unknown: it runs from its source, not from an installed package")
    extras: dict[str, dict[str, str | None]] = {}
    for match in filter(None, map(_REQUIREMENT.match, requirements)):
        if match[1] != DISTRIBUTION:
            extras.setdefault(match[2], {})[match[1]] = _version(match[1])
    found, incomplete = [], []
    for extra, versions in extras.items():
        # What another extra installs, too, does not show that somebody wanted this one.
        others = {name for other, names in extras.items() if other != extra for name in names}
        own = [versions[name] for name in versions if name not in others] or list(versions.values())
        if not any(own):
            found.append(f"{extra} not installed")
            continue
        details = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
        found.append(f"{extra} ({details})")
        if not all(versions.values()):
            incomplete.append(extra)
    if incomplete:
        return _warning(
            ", ".join(found), f"Install what is missing: `pip install '{DISTRIBUTION}[{','.join(incomplete)}]'`."
        )
    return _ok(", ".join(found) or "there are none")


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_open_files(jobs: int) -> Finding:
    """Whether the run's s5cmd processes may open enough files; an error if not even one of them can work."""
    concurrency = concurrency_for(jobs, raise_limit=False)
    if concurrency.notice is None:
        return _ok(f"enough for {jobs} parallel s5cmd processes")
    return _warning(
        f"enough for {concurrency.lanes} of {jobs} parallel s5cmd processes",
        "Raise the limit: `ulimit -n 1024` in the shell that starts it, or LimitNOFILE= in a systemd unit.",
    )


# The archive root


def check_writable(root: Root) -> Finding:
    """Whether runs can write to the root, or could make it; an error if a folder of ours is a link."""
    refuse_links(root)
    nearest = _nearest(root.path)
    if not nearest.is_dir():
        return _failed(f"{nearest} is not a folder", "Move it away, or choose another folder with --output.")
    for folder in (nearest, root.data, root.shared, root.staging):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            return _failed(f"{folder} is not writable", "Make it writable, or choose another folder with --output.")
    if nearest != root.path:
        return _ok(f"{root.path} does not exist yet; {nearest} is writable")
    return _ok(f"{root.path} is writable")


def check_space(root: Root) -> Finding:
    """How much may still be written to the root's disk: bytes, and files if the disk counts them."""
    free, files = free_bytes(root), _free_files(_nearest(root.path))
    found = f"{format_bytes(free)} free" + ("" if files is None else f", room for {files:,} files")
    advice = "Free some space, or choose another disk with --output."
    if free < FULL_BYTES or files == 0:
        return _failed(found, advice)
    if free < LOW_BYTES or (files is not None and files < LOW_FILES):
        return _warning(found, f"{advice} `crypto-archive plan` shows how much a collect needs.")
    return _ok(found)


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest one above it that exists."""
    return next(one for one in (path, *path.parents) if os.path.lexists(one))


def _free_files(folder: Path) -> int | None:
    if not hasattr(os, "statvfs"):
        return None
    disk = os.statvfs(folder)
    return disk.f_favail if disk.f_files else None  # some disks, such as Btrfs, do not count files


def check_layout(root: Root) -> Finding:
    """The layout of the root, and whether its files are on their way to another one."""
    note = read_note(root)
    if note is None or not note.moving_to:
        return _ok(MIRROR.name if note is None else note.layout)
    return _failed(
        f"files are on their way from {note.layout!r} to {note.moving_to!r}",
        f"Run `crypto-archive relayout --to {note.moving_to!r}` with the same --output until it has finished.",
    )


def check_lock(root: Root) -> Finding:
    """Who holds the lock of the root."""
    if _is_held(root):
        error = RootLock(root).refusal()
        return _warning(error.message, error.hint)
    killed = RootLock(root).holder() is None and root.lock_path.with_name("lock.json").exists()
    return _ok("free; its last holder was killed" if killed else "free")


def check_shards(root: Root) -> Finding:
    """The shards that run in the root, and those that have left entries for its manifest."""
    held = {shard.private.name: _is_held(shard) for shard in shards_of(root)}
    running, left = ([name for name, is_running in held.items() if is_running is wanted] for wanted in (True, False))
    found = "; ".join(
        f"{len(names)} {state}: {', '.join(names)}" for names, state in ((running, "running"), (left, "left")) if names
    )
    if left and not running:
        return _warning(found, "The next run in this archive root adds what they know to its manifest; do nothing.")
    return _ok(found or "none")


def _is_held(root: Root) -> bool:
    return root.lock_path.exists() and RootLock(root).is_held()  # trying the lock would make its file


def check_manifest(root: Root, seconds: float) -> Finding:
    """Whether the manifest is sound, as far as that can be seen in so many seconds; an error if it is damaged."""
    if not root.manifest_path.exists():
        return _ok("none yet")
    seen = examine(root.manifest_path, seconds)
    found = f"version {seen.version}" + ("" if seen.objects is None else f", {seen.objects:,} objects")
    if seen.complete:
        return _ok(f"sound, {found}")
    return _warning(f"{found}; not fully read in {seconds:g} seconds", "`crypto-archive verify --all` reads all of it.")


# The network: only s5cmd talks to the server, once


def check_s5cmd(access: Access) -> Finding:
    """The s5cmd that runs would use; an error if there is none that works."""
    binary = find_binary(access.s5cmd, seconds=SECONDS)
    return _ok(f"{binary.version}, {binary.path}")


_NOT_REACHED = ("the endpoint was not reached", "the endpoint")


def check_endpoint(access: Access, answer: Probe) -> Finding:
    """Whether the server answers."""
    if answer.answered:
        return _ok(f"{access.endpoint_url} answers ({answer.seconds:.2f} s)")
    cause = answer.error or "no answer"
    return _failed(f"{access.endpoint_url} cannot be reached: {cause}", hint_for(access, cause, listing=True))


def check_listing(access: Access, answer: Probe) -> Finding:
    """Whether the server lists the bucket."""
    where = f"{access.bucket}/{LISTED}"
    if not answer.answered:
        return _unchecked(*_NOT_REACHED)
    if answer.fault is Fault.DENIED:
        found = f"access to {where} is denied: {answer.error}"
        return _failed(found, hint_for(access, answer.error, listing=True))
    if answer.error:
        found = f"{where} could not be listed: {answer.error}"
        return _failed(found, hint_for(access, answer.error, listing=True))
    if not answer.folders:
        advice = "Check that --endpoint-url and CRYPTO_ARCHIVE_BUCKET name the archive or a copy of it."
        return _failed(f"{where} is empty", advice)
    return _ok(f"{where} has {', '.join(answer.folders)}")


def check_clock(access: Access, answer: Probe) -> Finding:
    """How far apart the clocks of this machine and the server are."""
    del access
    if not answer.answered:
        return _unchecked(*_NOT_REACHED)
    if answer.server_time is None or answer.local_time is None:
        return _warning("the server did not send its time", "Compare the clock of this machine by hand.")
    apart = (answer.local_time - answer.server_time).total_seconds()
    if apart > 0:  # the server sends whole seconds, and its answer took a while
        apart = max(0.0, apart - answer.seconds - 1)
    if abs(apart) < NOTABLE_SECONDS:
        return _ok("agrees with the server's")
    units = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
    unit, length = next((unit, length) for unit, length in units if abs(apart) >= 1.5 * length)
    found = f"{abs(apart) / length:.0f} {unit} {'ahead of' if apart > 0 else 'behind'} the server's"
    reason = "runs expect days that have not ended yet" if apart > 0 else "s5cmd ignores objects newer than this clock"
    advice = f"Set the clock, by NTP for example: {reason}."
    return (_failed if abs(apart) >= FAILING_SECONDS else _warning)(found, advice)


_CERTIFICATES = ("AWS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
_SECRET = re.compile(r"^(\w+://)?.*@", re.DOTALL)  # greedy: a password may hold every sign, also @ and /
_PORTS = {"http": 80, "https": 443}


def check_proxy(access: Access, environ: Mapping[str, str]) -> Finding:
    """The proxy that s5cmd uses, and the certificates that it trusts in addition to those of the system."""
    proxy = proxy_for(access.endpoint_url, environ)
    certificates = {name: environ[name] for name in _CERTIFICATES if environ.get(name)}
    found = "; ".join([proxy or "none", *(f"{name}={path}" for name, path in certificates.items())])
    for name, path in certificates.items():
        if not Path(path).exists():
            return _warning(found, f"{name} names a file that does not exist; correct it or unset it.")
    if proxy is None and _set_name("ALL_PROXY", environ):
        meant = f"{urlsplit(access.endpoint_url).scheme.upper()}_PROXY"
        return _warning(found, f"s5cmd ignores ALL_PROXY; set {meant} to use that proxy.")
    return _ok(found)


def proxy_for(endpoint_url: str, environ: Mapping[str, str]) -> str | None:
    """Return the variable that gives the proxy for an endpoint, without secrets, or why it is not used; None if unset.

    s5cmd is a Go program, and so reads the variables as Go's ``httpproxy`` does, not as curl or Python would.
    """
    url = urlsplit(endpoint_url)
    host, port = url.hostname or "", url.port or _PORTS.get(url.scheme, 0)
    variable = _set_name(f"{url.scheme.upper()}_PROXY", environ)
    if variable is None:
        return None
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return f"none for {host}, which is this machine ({variable} is set)"
    exceptions = _set_name("NO_PROXY", environ)
    if exceptions and any(_excludes(word.strip().lower(), host, port) for word in environ[exceptions].split(",")):
        return f"none for {host}, because of {exceptions} ({variable} is set)"
    return f"{variable}={_SECRET.sub(lambda match: match[1] or '', environ[variable])}"


def _set_name(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of a variable as it is set, in upper or else in lower case; None if it is not."""
    return next((one for one in (name, name.lower()) if environ.get(one)), None)


def _excludes(word: str, host: str, port: int) -> bool:
    """Whether a word of NO_PROXY covers a host: ``*``, an address, a network, or a domain; maybe with a port."""
    name, colon, number = word.rpartition(":")
    if colon and number.isdigit() and not name.endswith(":"):
        if int(number) != port:
            return False
        word = name
    if word == "*":
        return True
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(word.strip("[]"), strict=False)
        except ValueError:
            return host == word
    if word.startswith(("*.", ".")):  # subdomains only
        return host.endswith(word.removeprefix("*"))
    return bool(word) and (host == word or host.endswith(f".{word}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
