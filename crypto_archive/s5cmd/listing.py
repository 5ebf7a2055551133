"""Listings by s5cmd: streamed, and either complete or an error; and a probe that inspects a single one."""

from __future__ import annotations

import json
import re
import threading
import time
from bisect import bisect_right
from collections import deque
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable
from crypto_archive.s5cmd.child import AwakeClock, Child, time_limit
from crypto_archive.s5cmd.failure import AGAIN, server_failed
from crypto_archive.s5cmd.output import (
    NOTHING_FOUND,
    Failed,
    Fault,
    Folder,
    Listed,
    OtherLine,
    fault_of,
    log_command,
    log_message,
)
from crypto_archive.s5cmd.runfile import child_environment, command_line, folders_line, list_line, write_run_file

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from crypto_archive.config.run_config import Access
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.s5cmd.output import Message

PREFIXES_PER_PROCESS = 100
WORKERS = 8
STALL_SECONDS = 60.0
LOOK_SECONDS = 0.25

# With 5, s5cmd gives up a refused connection within about 2 seconds; with 10, within 50 (measured, v2.3.0).
_RETRIES = 5


def list_objects(
    binary: Binary,
    access: Access,
    prefixes: Iterable[str],
    *,
    workers: int = WORKERS,
    stall_seconds: float = STALL_SECONDS,
    cancelled: threading.Event | None = None,
) -> Generator[Listed, None, None]:
    """Yield every object whose key starts with one of the prefixes.

    Objects of one prefix come sorted by key, those of up to ``PREFIXES_PER_PROCESS`` prefixes interleaved (measured).
    Prefixes are taken as they are needed, so that there may be any number of them. An object comes once for each of
    the prefixes that it matches. Closing the generator ends s5cmd; setting ``cancelled`` ends the listing early,
    without an error.

    Raises EndpointUnreachable where the server cannot be reached, denies the listing, or has not answered for each
    prefix (also when s5cmd printed nothing for ``stall_seconds``), and ValueError for a prefix that s5cmd cannot list.
    """
    waiting = iter(prefixes)
    cancelled = cancelled or threading.Event()
    while not cancelled.is_set() and (chunk := tuple(islice(waiting, PREFIXES_PER_PROCESS))):
        lines = {prefix: list_line(access.bucket, prefix) for prefix in chunk}
        with closing(_answers(binary, access, lines, workers, stall_seconds, cancelled)) as answers:
            for answer in answers:
                yield from (one for one in answer if isinstance(one, Listed))


def list_folders(
    binary: Binary,
    access: Access,
    prefix: str,
    *,
    stall_seconds: float = STALL_SECONDS,
    cancelled: threading.Event | None = None,
) -> tuple[str, ...]:
    """Return the names of the folders directly under a prefix that ends in ``/``, sorted as the bucket sorts them.

    As with ``list_objects``, ``cancelled`` ends it early; what it returns then may be incomplete. It raises the same.
    """
    lines = {prefix: folders_line(access.bucket, prefix)}
    answers = _answers(binary, access, lines, 1, stall_seconds, cancelled or threading.Event())
    folders = (one.key for answer in answers for one in answer if isinstance(one, Folder))
    return tuple(key.removeprefix(prefix).rstrip("/") for key in folders)


def _answers(
    binary: Binary,
    access: Access,
    lines: Mapping[str, str],
    workers: int,
    stall_seconds: float,
    cancelled: threading.Event,
) -> Generator[list[Listed | Folder], None, None]:
    """Run ``ls`` lines, one for each prefix, and yield what they list, in lists of what has come together."""
    # s5cmd exits with 1 as soon as one line matches nothing, and is silent about those that it never got to: only an
    # answer for each prefix makes a listing complete.
    unanswered = _Unanswered(lines)
    commands = {f"ls s3://{access.bucket}/{prefix}{sign}": prefix for prefix in lines for sign in ("", "*")}
    other: deque[str] = deque(maxlen=3)
    with (
        _listing(binary, access, lines.values(), workers=workers, retries=_RETRIES) as child,
        closing(_watched(child, access, stall_seconds, cancelled)) as batches,
    ):
        for messages in batches:
            listed = [message for message in messages if isinstance(message, (Listed, Folder))]
            if listed:
                unanswered.note(listed)
                yield listed
            if len(listed) == len(messages):
                continue
            for message in messages:
                log_message(message)
                match message:
                    case Failed(command=command, error=error) if NOTHING_FOUND in error and command in commands:
                        unanswered.prefixes.discard(commands[command])
                    case Failed(error=error):
                        raise server_failed(access, error, listing=True)
                    case OtherLine(text=text) if text.startswith('{"key"'):
                        raise server_failed(access, f"it lists an impossible object: {text}", listing=True)
                    case OtherLine(text=text) if text:
                        other.append(text)
        if cancelled.is_set():
            return
        if unanswered.prefixes or child.returncode not in (0, 1):
            raise _incomplete(access, child.returncode, unanswered.prefixes, other)


class _Unanswered:
    """The prefixes without an answer yet; a key answers all those that it begins with."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self.prefixes = set(prefixes)
        self._sorted = sorted(self.prefixes)
        self._within = {one: [other for other in self._sorted if one.startswith(other)] for one in self._sorted}

    def note(self, listed: Iterable[Listed | Folder]) -> None:
        """Take in what was listed."""
        if not self.prefixes:
            return
        for one in listed:
            # The last prefix that sorts before a key begins with all those that the key begins with.
            if at := bisect_right(self._sorted, one.key):
                within = self._within[self._sorted[at - 1]]
                self.prefixes.difference_update([prefix for prefix in within if one.key.startswith(prefix)])


@contextmanager
def _listing(
    binary: Binary, access: Access, lines: Iterable[str], *, workers: int, retries: int, log: str = "info"
) -> Iterator[Child]:
    """Run s5cmd on a run-file of these lines, in a folder of its own."""
    with TemporaryDirectory(prefix="crypto-archive-", ignore_cleanup_errors=True) as folder:
        run_file = Path(folder) / "list.s5cmd"
        write_run_file(run_file, lines)
        command = command_line(binary, access, run_file, workers=workers, retries=retries, log=log)
        log_command(command)
        with Child(command, cwd=Path(folder), env=child_environment(access)) as child:
            yield child


def _watched(
    child: Child, access: Access, stall_seconds: float, cancelled: threading.Event
) -> Generator[list[Message], None, None]:
    """Yield a child's messages; kill it when it is silent for too long (s5cmd itself waits forever) or cancelled."""
    waiting: object | None = object()  # a new one for each wait; None while the caller is at work
    stalled, done = threading.Event(), threading.Event()
    tick = min(LOOK_SECONDS, stall_seconds / 4)

    def watch() -> None:
        clock = AwakeClock(tick)
        seen, since = waiting, 0.0
        while not done.wait(tick):
            now, current = clock.look(), waiting
            if cancelled.is_set():
                child.kill()
                return
            if current is not seen:
                seen, since = current, now
            if current is not None and now - since > stall_seconds:
                stalled.set()
                child.kill()
                return

    watcher = threading.Thread(target=watch, name="listing-watch", daemon=True)
    watcher.start()
    try:
        for messages in child.batches():
            waiting = None
            yield messages
            waiting = object()
    finally:
        done.set()
        watcher.join()
    if stalled.is_set():
        raise server_failed(access, f"no answer for {stall_seconds:g} seconds", listing=True)


def _incomplete(access: Access, code: int | None, unanswered: set[str], other: Iterable[str]) -> EndpointUnreachable:
    printed = " ".join(other) or "it printed nothing"
    which = f" without an answer for {len(unanswered)} prefixes, among them {min(unanswered)!r}" if unanswered else ""
    return EndpointUnreachable(
        f"The listing of the bucket {access.bucket!r} at {access.endpoint_url} is incomplete: "
        f"s5cmd exited with code {code}{which} ({printed})",
        hint=AGAIN,
    )


_RESPONSE = re.compile(r"---\[ RESPONSE \]-+\s+HTTP/[\d.]+ (\d{3})")
_DATE = re.compile(r"^Date: ([^\r\n]{1,60})\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a probe.

    Attributes:
        answered: Whether any server answered, even with an error.
        seconds: How long it took.
        server_time: The server's clock, UTC; None where the response had none.
        local_time: The clock of this machine when that was read, UTC.
        folders: The folders directly under the prefix.
        error: What went wrong, as s5cmd reports it; empty where nothing did.
        fault: What kind of error that is; None without one.
    """

    answered: bool = False
    seconds: float = 0.0
    server_time: datetime | None = None
    local_time: datetime | None = None
    folders: tuple[str, ...] = ()
    error: str = ""
    fault: Fault | None = None


def probe(binary: Binary, access: Access, prefix: str, seconds: float) -> Probe:
    """List the folders directly under a prefix that ends in ``/``, with a single request and within a time.

    The user's number of retries does not count here. Raises S5cmdUnusable where s5cmd cannot be started.
    """
    once = tuple(argument for argument in access.extra_args if not argument.startswith("--retry-count"))
    access = replace(access, extra_args=once)
    found = Probe()
    folders: list[str] = []
    began = time.monotonic()
    with (
        _listing(binary, access, [folders_line(access.bucket, prefix)], workers=1, retries=0, log="trace") as child,
        time_limit(child, seconds) as expired,
    ):
        for message in child.messages():
            match message:
                case OtherLine(text=text) if (response := _response(text)) is not None:
                    now = datetime.now(UTC)
                    found = replace(found, answered=True, server_time=_server_time(response), local_time=now)
                case Folder(key=key) | Listed(key=key):
                    folders.append(key.removeprefix(prefix).rstrip("/"))
                case Failed(error=error) if NOTHING_FOUND not in error:
                    found = replace(found, error=error, fault=fault_of(error))
        found = replace(found, seconds=time.monotonic() - began, folders=tuple(folders))
    if expired.is_set():
        return replace(found, error=f"no answer within {seconds:g} seconds", fault=Fault.UNREACHABLE)
    return found


def _response(text: str) -> str | None:
    """Return the headers of a server's response, where a line of the trace holds them."""
    if "RESPONSE" not in text:
        return None
    with suppress(ValueError):
        document = json.loads(text)
        traced = document.get("message") if isinstance(document, dict) else None
        if isinstance(traced, str) and _RESPONSE.search(traced):
            return traced
    return None


def _server_time(response: str) -> datetime | None:
    from email.utils import parsedate_to_datetime  # loads half of the mail, of which a listing has no use

    found = _DATE.search(response)
    if found is None:
        return None
    try:
        date = parsedate_to_datetime(found[1])
    except ValueError:
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
