"""Listings by s5cmd: streamed, and either complete or an error; and a probe that looks closely at one."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable
from crypto_archive.s5cmd.child import AwakeClock, Child
from crypto_archive.s5cmd.output import NOTHING_FOUND, Failed, Fault, Folder, Listed, Noise, fault_of
from crypto_archive.s5cmd.runfile import child_environment, command_line, folders_line, list_line, write_run_file

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from crypto_archive.config.run_config import Access
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.s5cmd.output import Message

PREFIXES_AT_ONCE = 100
WORKERS = 8
STALL_SECONDS = 60.0
LOOK_SECONDS = 0.25

# With 5, s5cmd gives up a refused connection within about 2 seconds; with 10, within 50 (measured, v2.3.0).
_RETRIES = 5
_WITHOUT_LISTING = "`plan` and `collect` need no listing with --discover calendar."
_TROUBLES = {Fault.UNREACHABLE: "cannot be reached", Fault.DENIED: "denies the listing"}


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

    Objects of one prefix come sorted by key, those of up to ``PREFIXES_AT_ONCE`` prefixes interleaved (measured).
    Prefixes are taken as they are needed, so that there may be any number of them. An object comes once for each of
    the prefixes that it matches. Closing the generator ends s5cmd.

    Args:
        binary: The s5cmd to use.
        access: How the bucket is reached.
        prefixes: Beginnings of keys.
        workers: Prefixes listed at the same time.
        stall_seconds: How long s5cmd may say nothing before the listing counts as failed, in seconds.
        cancelled: Ends the listing early, without an error, once it is set.

    Raises:
        EndpointUnreachable: The server cannot be reached, denies the listing, or has not answered for each prefix.
        ValueError: s5cmd cannot list a prefix like this.
    """
    waiting = iter(prefixes)
    cancelled = cancelled or threading.Event()
    while not cancelled.is_set() and (chunk := tuple(islice(waiting, PREFIXES_AT_ONCE))):
        lines = {prefix: list_line(access.bucket, prefix) for prefix in chunk}
        with closing(_answers(binary, access, lines, workers, stall_seconds, cancelled)) as answers:
            yield from (answer for answer in answers if isinstance(answer, Listed))


def list_folders(
    binary: Binary,
    access: Access,
    prefix: str,
    *,
    stall_seconds: float = STALL_SECONDS,
    cancelled: threading.Event | None = None,
) -> tuple[str, ...]:
    """Return the names of the folders directly under a prefix that ends in ``/``, sorted as the bucket sorts them.

    As of ``list_objects``, ``cancelled`` ends it early; what it returns then may be too little.

    Raises:
        EndpointUnreachable: As of ``list_objects``.
        ValueError: As of ``list_objects``.
    """
    lines = {prefix: folders_line(access.bucket, prefix)}
    answers = _answers(binary, access, lines, 1, stall_seconds, cancelled or threading.Event())
    return tuple(answer.key.removeprefix(prefix).rstrip("/") for answer in answers if isinstance(answer, Folder))


def _answers(
    binary: Binary,
    access: Access,
    lines: Mapping[str, str],
    workers: int,
    stall_seconds: float,
    cancelled: threading.Event,
) -> Generator[Listed | Folder, None, None]:
    """Run ``ls`` lines, one for each prefix, and yield what they list.

    s5cmd ends with 1 as soon as one of them matches nothing, and says nothing of those that it never came to, so each
    prefix has to be accounted for.
    """
    unanswered = set(lines)
    spoken = {f"ls s3://{access.bucket}/{prefix}{sign}": prefix for prefix in lines for sign in ("", "*")}
    noise: deque[str] = deque(maxlen=3)
    with TemporaryDirectory(prefix="crypto-archive-", ignore_cleanup_errors=True) as folder:
        run_file = Path(folder) / "list.s5cmd"
        write_run_file(run_file, lines.values())
        command = command_line(binary, access, run_file, workers=workers, retries=_RETRIES)
        with (
            Child(command, cwd=Path(folder), env=child_environment(access)) as child,
            closing(_watched(child, access, stall_seconds, cancelled)) as messages,
        ):
            for message in messages:
                match message:
                    case Listed(key=key) | Folder(key=key):
                        unanswered.difference_update([prefix for prefix in unanswered if key.startswith(prefix)])
                        yield message
                    case Failed(command=asked, error=error) if NOTHING_FOUND in error and asked in spoken:
                        unanswered.discard(spoken[asked])
                    case Failed(error=error):
                        raise _failure(access, error)
                    case Noise(text=text) if text.startswith('{"key"'):
                        raise _failure(access, f"it lists an object that cannot be so: {text}")
                    case Noise(text=text) if text:
                        noise.append(text)
            if cancelled.is_set():
                return
            if unanswered or child.returncode not in (0, 1):
                raise _unaccounted(access, child.returncode, unanswered, noise)


def _watched(
    child: Child, access: Access, stall_seconds: float, cancelled: threading.Event
) -> Generator[Message, None, None]:
    """Yield a child's messages; kill it when it is waited for too long (s5cmd itself waits for ever) or cancelled."""
    waiting: object | None = object()  # another one for each wait; None while the caller is at work
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
        for message in child.messages():
            waiting = None
            yield message
            waiting = object()
    finally:
        done.set()
        watcher.join()
    if stalled.is_set():
        raise _failure(access, f"no answer for {stall_seconds:g} seconds")


def _failure(access: Access, words: str) -> EndpointUnreachable:
    fault = fault_of(words)
    trouble = _TROUBLES.get(fault, f"failed to list the bucket {access.bucket!r}")
    advice = "Check the network, the proxy settings and --endpoint-url; " if fault is not Fault.DENIED else ""
    return EndpointUnreachable(
        f"The archive's server {access.endpoint_url} {trouble}: {words}", hint=advice + _WITHOUT_LISTING
    )


def _unaccounted(access: Access, code: int | None, unanswered: set[str], noise: Iterable[str]) -> EndpointUnreachable:
    said = " ".join(noise) or "it said nothing"
    which = f" without an answer for {len(unanswered)} prefixes, among them {min(unanswered)!r}" if unanswered else ""
    return EndpointUnreachable(
        f"The listing of the bucket {access.bucket!r} at {access.endpoint_url} is incomplete: "
        f"s5cmd ended with code {code}{which} ({said})",
        hint=f"Run the same command again; {_WITHOUT_LISTING}",
    )


_ANSWER = re.compile(r"---\[ RESPONSE \]-+\s+HTTP/[\d.]+ (\d{3})")
_DATE = re.compile(r"^Date: ([^\r\n]{1,60})\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of it.

    Attributes:
        answered: Whether any server answered, be it with an error.
        seconds: How long it took.
        server_time: What the server's clock said, UTC; None where it did not say.
        local_time: What the clock of this machine said when that was read, UTC.
        folders: The folders directly under the prefix.
        error: What s5cmd says went wrong; empty where nothing did.
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

    Args:
        binary: The s5cmd to use.
        access: How the bucket is reached; how often s5cmd repeats a request does not count here.
        prefix: The beginning of the keys.
        seconds: How long it may take.

    Raises:
        S5cmdUnusable: s5cmd cannot be started.
    """
    once = tuple(argument for argument in access.extra_args if not argument.startswith("--retry-count"))
    access = replace(access, extra_args=once)
    with TemporaryDirectory(prefix="crypto-archive-", ignore_cleanup_errors=True) as folder:
        run_file = Path(folder) / "trial.s5cmd"
        write_run_file(run_file, [folders_line(access.bucket, prefix)])
        command = command_line(binary, access, run_file, workers=1, retries=0, log="trace")
        with Child(command, cwd=Path(folder), env=child_environment(access)) as child:
            return _watched_probe(child, prefix, seconds)


def _watched_probe(child: Child, prefix: str, seconds: float) -> Probe:
    too_late = threading.Event()

    def give_up() -> None:
        too_late.set()
        child.kill()

    began = time.monotonic()
    timer = threading.Timer(seconds, give_up)
    timer.start()
    try:
        trial = _told(child, prefix)
    finally:
        timer.cancel()
        timer.join()
    trial = replace(trial, seconds=time.monotonic() - began)
    if too_late.is_set():
        return replace(trial, error=f"no answer within {seconds:g} seconds", fault=Fault.UNREACHABLE)
    return trial


def _told(child: Child, prefix: str) -> Probe:
    """Return what s5cmd tells, up to its end."""
    trial = Probe()
    folders: list[str] = []
    for message in child.messages():
        match message:
            case Noise(text=text) if (answer := _answer(text)) is not None:
                server_time = _server_time(answer)
                now = datetime.now(UTC)
                trial = replace(trial, answered=True, server_time=server_time, local_time=now)
            case Folder(key=key) | Listed(key=key):
                folders.append(key.removeprefix(prefix).rstrip("/"))
            case Failed(error=error) if NOTHING_FOUND not in error:
                trial = replace(trial, error=error, fault=fault_of(error))
    return replace(trial, folders=tuple(folders))


def _answer(text: str) -> str | None:
    """Return the head of a server's answer, where that is what a line tells of."""
    if "RESPONSE" not in text:
        return None
    with suppress(ValueError):
        document = json.loads(text)
        told = document.get("message") if isinstance(document, dict) else None
        if isinstance(told, str) and _ANSWER.search(told):
            return told
    return None


def _server_time(answer: str) -> datetime | None:
    found = _DATE.search(answer)
    if found is None:
        return None
    try:
        told = parsedate_to_datetime(found[1])
    except ValueError:
        return None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
