"""One small listing, looked at closely: whether the server answered, what its clock says, what it refused.

At its log level trace, s5cmd tells of each request and answer, headers included (measured, v2.3.0). So whether it works
from here is answered by s5cmd itself, with its proxies, certificates and signatures, and the server's clock needs no
question of its own.
"""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.invocation import child_environment, command_line
from crypto_archive.s5cmd.protocol import NOTHING_FOUND, Failed, Fault, Folder, Listed, Noise, fault_of
from crypto_archive.s5cmd.runfile import folders_line, write_run_file

if TYPE_CHECKING:
    from crypto_archive.request import Access
    from crypto_archive.s5cmd.binary import Binary

_ANSWER = re.compile(r"---\[ RESPONSE \]-+\s+HTTP/[\d.]+ (\d{3})")
_DATE = re.compile(r"^Date: ([^\r\n]{1,60})\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
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


def try_listing(binary: Binary, access: Access, prefix: str, seconds: float) -> Trial:
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
            return _watched(child, prefix, seconds)


def _watched(child: Child, prefix: str, seconds: float) -> Trial:
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


def _told(child: Child, prefix: str) -> Trial:
    """Return what s5cmd tells, up to its end."""
    trial = Trial()
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
