"""Two doors to the same bytes: S3, and the archive's CDN, which may be nearer and speaks HTTP/2. Listings are S3's.

Nothing is trusted more or less for the door that it came through. Only, what a CDN does not have as it is listed says
nothing of the archive: the CDN may hold an older copy, or not have it yet. S3 is asked then.
"""

from __future__ import annotations

import queue
import shlex
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from crypto_archive.config.run_config import Via
from crypto_archive.events import DoorChosen, Noticed
from crypto_archive.model import Notice, is_md5
from crypto_archive.s5cmd.child import Child
from crypto_archive.s5cmd.copies import copy_commands, copy_from_cdn
from crypto_archive.s5cmd.output import Failed, Listed, OtherLine, log_command
from crypto_archive.s5cmd.runfile import child_environment, command_line, write_run_file
from crypto_archive.text import format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from crypto_archive.config.run_config import Access
    from crypto_archive.events import Event
    from crypto_archive.model import PlannedObject, RemoteStat
    from crypto_archive.s5cmd.binary import Binary
    from crypto_archive.s5cmd.copies import CopyCommand
    from crypto_archive.s5cmd.runfile import Parts

PROBE_SECONDS = 0.5
"""How long both doors together may take to answer, before the first batch."""
CLEARLY_NEARER = 2
"""How many times as fast a CDN without HTTP/2 has to be, since it takes two requests for what S3 gives with one."""


@dataclass(frozen=True, slots=True)
class Door:
    """A server that has the bytes.

    Attributes:
        via: Which of the two it is.
        access: How s5cmd reaches it.
    """

    via: Via
    access: Access

    @property
    def is_optional(self) -> bool:
        """Whether S3 is asked for what it does not bring as it is listed; not where it was asked for by name."""
        return self.via is Via.CDN and self.access.via is Via.AUTO

    @property
    def source(self) -> str:
        """What precedes a key in its URL for s5cmd.

        A CDN has no buckets; the first folder of the key passes for one, so that the path of the request is the key.
        """
        return f"s3://{self.access.bucket}/" if self.via is Via.S3 else "s3://"

    def commands(self, keys: Iterable[str], parts: Parts) -> list[CopyCommand]:
        """Return the commands that copy these keys; without listings there are no patterns."""
        if self.via is Via.S3:
            return list(copy_commands(self.access.bucket, keys, parts))
        return [copy_from_cdn(key, parts) for key in keys]

    def __str__(self) -> str:
        return f"the CDN {self.access.endpoint_url}" if self.via is Via.CDN else f"S3 {self.access.endpoint_url}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a door said of one object.

    Attributes:
        seconds: How long it took.
        stat: Size, ETag and time; None where it did not have the object.
        http2: Whether it speaks HTTP/2.
        error: Why there is no ``stat``.
    """

    seconds: float
    stat: RemoteStat | None = None
    http2: bool = False
    error: str = ""

    @property
    def handicap(self) -> int:
        """How many times as fast as S3 a CDN that answers so has to be."""
        return 1 if self.http2 else CLEARLY_NEARER


class Doors:
    """Which door a run goes through: asked for at each attempt at a batch, from any thread.

    Attributes:
        s3: The door that everything is listed at.
        cdn: The other one; None where there is none, or where it is not to be used.
    """

    def __init__(self, binary: Binary, access: Access, emit: Callable[[Event], object]) -> None:
        """Take the door that is configured, or leave the choice to the first call of ``choose``."""
        self.s3, self.cdn = Door(Via.S3, access), None
        if access.via is not Via.S3 and access.cdn_url is not None and access.cdn_fault is None:
            self.cdn = Door(Via.CDN, replace(access, endpoint_url=access.cdn_url))
        self._binary = binary
        self._emit = emit
        self._guard = threading.Lock()
        self._chosen = self.s3 if self.cdn is None else self.cdn if access.via is Via.CDN else None

    def choose(self, planned: Iterable[PlannedObject]) -> Door:
        """Return the door for an attempt at these objects; the first call decides for the run."""
        with self._guard:
            if self._chosen is None and self.cdn is not None:
                try:
                    self._chosen, reason = self._nearer(self.cdn, min(planned, key=_size))
                except OSError as error:  # such as no room for the run-file: that is not worth the run
                    self._chosen, reason = self.s3, f"the CDN was not asked: {error.strerror or error}"
                self._emit(DoorChosen(self._chosen.via, self._chosen.access.endpoint_url, reason))
            return self._chosen or self.s3

    @property
    def access(self) -> Access:
        """How the server is reached that decides whether a run can go on: S3, unless the CDN was asked for by name."""
        return self.cdn.access if self.cdn is not None and not self.cdn.is_optional else self.s3.access

    def is_open(self, door: Door) -> bool:
        """Whether a door has not been given up; S3 never is."""
        return door is self.s3 or self._chosen is door

    def fall_back(self, reason: str) -> None:
        """Go through S3 from now on, and say so once; not where the CDN was asked for by name."""
        with self._guard:
            if self.cdn is None or self._chosen is not self.cdn or not self.cdn.is_optional:
                return
            self._chosen = self.s3
        self._emit(Noticed(Notice(f"the rest comes from S3 and not from {self.cdn}: {reason}")))

    def _nearer(self, cdn: Door, item: PlannedObject) -> tuple[Door, str]:
        """Ask both doors for an object, and return the nearer one with what was seen."""
        given: dict[Via, Answer] = {}
        answers: queue.Queue[tuple[Via, Answer]] = queue.Queue()
        began = time.monotonic()
        with ExitStack() as asking:
            for door in (self.s3, cdn):
                asking.enter_context(_asking(self._binary, door, item.object.key, answers))
            while True:
                elapsed = time.monotonic() - began
                via = nearer(given.get(Via.S3), given.get(Via.CDN), item.remote, elapsed)
                if via is not None or elapsed >= PROBE_SECONDS:
                    break
                near = given[Via.CDN].seconds * given[Via.CDN].handicap if Via.CDN in given else PROBE_SECONDS
                wait = min(near if near > elapsed else PROBE_SECONDS, PROBE_SECONDS) - elapsed
                with suppress(queue.Empty):
                    given.update([answers.get(timeout=wait)])
        seen = ", ".join(f"{one}: {_seen(given.get(one), item.remote)}" for one in (Via.S3, Via.CDN))
        return (cdn if via is Via.CDN else self.s3), seen


def nearer(own: Answer | None, cdn: Answer | None, listed: RemoteStat | None, elapsed: float) -> Via | None:
    """Return which door to take as soon as that is clear; where it never is, S3 is the one to take.

    Args:
        own: What S3 said, None for nothing so far.
        cdn: The same of the CDN, which has to have what is listed; without a listing, what S3 has.
        listed: What is listed of the object.
        elapsed: Seconds since both were asked.
    """
    truth = listed or (own.stat if own is not None else None)
    if cdn is not None and (cdn.stat is None or (truth is not None and unlike(cdn.stat, truth))):
        return Via.S3
    if own is not None and own.stat is not None and truth is not None and unlike(own.stat, truth):
        return Via.S3  # replaced since it was listed; the CDN may not know
    if cdn is None:
        return Via.S3 if own is not None and own.stat is not None else None
    if truth is None:
        return None if own is None else Via.S3
    if own is not None and own.stat is None:
        return Via.CDN
    if cdn.seconds * cdn.handicap <= (elapsed if own is None else own.seconds):
        return Via.CDN
    return None if own is None else Via.S3


def unlike(found: RemoteStat, listed: RemoteStat) -> str:
    """Return how an object differs from what is listed; empty where nothing tells them apart."""
    if found.size != listed.size:
        return f"has {format_count(found.size, 'byte')}, the listing says {listed.size:,}"
    comparable = is_md5(found.etag) and is_md5(listed.etag)
    return "has another MD5 than the listing" if comparable and found.etag.lower() != listed.etag.lower() else ""


def _seen(answer: Answer | None, listed: RemoteStat | None) -> str:
    """Return an answer in words."""
    if answer is None:
        return "no answer yet"
    if answer.stat is None:
        return answer.error
    fault = unlike(answer.stat, listed) if listed is not None else ""
    return fault or f"{answer.seconds * 1000:.0f} ms{' over HTTP/2' if answer.http2 else ''}"


@contextmanager
def _asking(binary: Binary, door: Door, key: str, answers: queue.Queue[tuple[Via, Answer]]) -> Iterator[None]:
    """Ask a door for an object as long as the context lasts: by s5cmd, so that it is reached as it would be later.

    The trace has the version of HTTP. The user's number of retries does not count here.
    """
    once = tuple(argument for argument in door.access.extra_args if not argument.startswith("--retry-count"))
    access = replace(door.access, extra_args=once)
    with TemporaryDirectory(prefix="crypto-archive-", ignore_cleanup_errors=True) as folder:
        run_file = Path(folder) / "head.s5cmd"
        write_run_file(run_file, [f"head --raw {shlex.quote(door.source + key)}"])
        command = command_line(binary, access, run_file, workers=1, retries=0, log="trace")
        log_command(command)
        began = time.monotonic()
        with Child(command, cwd=Path(folder), env=child_environment(access)) as child:

            def read() -> None:
                http2, error = False, "s5cmd exited without an answer"
                for message in child.messages():
                    match message:
                        case OtherLine(text=text) if "[ RESPONSE ]" in text:
                            http2 = "HTTP/2" in text
                        case Failed(error=error):
                            break
                        case Listed(stat=stat):
                            answers.put((door.via, Answer(time.monotonic() - began, stat, http2)))
                            return
                answers.put((door.via, Answer(time.monotonic() - began, None, http2, error)))

            reader = threading.Thread(target=read, name="door")
            reader.start()
            try:
                yield
            finally:
                child.kill()
                reader.join()


def _size(item: PlannedObject) -> tuple[bool, int]:
    """Sort what is small first, and what has a known size before anything else."""
    return item.remote is None, item.remote.size if item.remote is not None else 0
