"""Real disks of a test's own: a small file system in a mount namespace of its own, and users without rights."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.archive.results import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.archive.running import Runner

BALLAST = "ballast"


class NoSuchMeans(Exception):
    """The machine does not let a test have what it asks for; says why."""


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs that is mounted at ``ROOT`` in a runner's folder, in a mount namespace of its own.

    Attributes:
        run: Runs commands inside of the namespace.
        root: The mounted folder as it is seen from outside.
    """

    run: Runner
    root: Path
    enter: tuple[str, ...]

    def remount(self, options: str) -> None:
        """Change the mount: ``size=20m``, ``ro``."""
        subprocess.run([*self.enter, "mount", "-o", f"remount,{options}", ROOT], check=True, capture_output=True)

    def leave_free(self, kib: int) -> None:
        """Fill the disk with one file of no meaning until only so many KiB are free."""
        ballast = self.root / BALLAST
        free = os.statvfs(self.root).f_bavail * os.statvfs(self.root).f_frsize
        with ballast.open("ab") as file:
            os.posix_fallocate(file.fileno(), file.tell(), free - kib * 1024) if free > kib * 1024 else None


@contextmanager
def small_disk(run: Runner, options: str) -> Iterator[SmallDisk]:
    """Mount a small file system for a test, as root of a user namespace where the tests are not root themselves.

    Args:
        run: The runner whose processes are to see it.
        options: Mount options: ``size=400k``.

    Raises:
        NoSuchMeans: No file system may be mounted here.
    """
    (run.folder / ROOT).mkdir()
    script = f"mount -t tmpfs -o {options} tmpfs {ROOT} && echo mounted && exec cat"
    if not all(map(shutil.which, ("unshare", "nsenter", "mount"))):
        raise NoSuchMeans("needs unshare, nsenter and mount")
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=run.folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            if holder.stdout.readline() != b"mounted\n":
                raise NoSuchMeans("may not mount a file system here")
            enter = ("nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials")
            inside = (*enter, "sh", "-c", 'cd "$0" && exec "$@"', str(run.folder))
            seen = Path(f"/proc/{holder.pid}/root", *(run.folder / ROOT).parts[1:])
            yield SmallDisk(replace(run, command=(*inside, *run.command)), seen, inside)
        finally:
            holder.stdin.close()


def without_privileges(run: Runner) -> Runner:
    """Return a runner whose processes are denied what file modes deny, also where the tests are root.

    Raises:
        NoSuchMeans: The privileges of root cannot be laid down here.
    """
    if os.name == "nt":
        raise NoSuchMeans("file modes deny nothing here")
    if os.geteuid() != 0:
        return run
    drop = ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--")
    if not shutil.which("setpriv") or subprocess.run([*drop, "true"], check=False, capture_output=True).returncode:
        raise NoSuchMeans("needs setpriv, for the tests are root")
    return replace(run, command=(*drop, *run.command))
