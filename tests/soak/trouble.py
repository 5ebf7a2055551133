"""What a round may meet: faults of the network, changes of the archive, damage on the disk. All drawn by chance."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.archive.proxy import Corrupt, Delay, Slow, Stall, Status, Truncate
from tests.archive.sample import SIDECAR
from tests.soak.bucket import Bucket, digest

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from tests.archive.proxy import Fault, FaultProxy

Drawn = tuple[str, str, "Fault"]
"""A kind of request, a pattern of keys, and what happens to them."""


def _some(rng: random.Random, keys: list[str]) -> str:
    """Return a pattern: everything, all zips, all sidecars, or one file."""
    key = rng.choice(keys)
    return rng.choice(("*", "*.zip", f"*{SIDECAR}", key, key, key + SIDECAR, f"{key}*"))


def _one(rng: random.Random, keys: list[str]) -> str:
    key = rng.choice(keys)
    return rng.choice((key, key, key + SIDECAR, f"{key}*"))


FAULTS: dict[str, Callable[[random.Random, list[str]], Drawn]] = {
    "busy": lambda rng, keys: ("GET", _some(rng, keys), Status(rng.choice((503, 503, 500)), times=rng.randint(1, 40))),
    "truncated": lambda rng, keys: ("GET", _some(rng, keys), Truncate(rng.random(), times=rng.randint(1, 10))),
    "corrupted": lambda rng, keys: ("GET", _one(rng, keys), Corrupt(times=1)),
    "corrupted for good": lambda rng, keys: ("GET", rng.choice(keys), Corrupt()),
    "stalled": lambda rng, keys: ("GET", _some(rng, keys), Stall(rng.random(), times=rng.randint(1, 2))),
    "slow": lambda rng, keys: ("GET", _some(rng, keys), Slow(rng.uniform(20e3, 400e3), times=rng.randint(1, 20))),
    "late": lambda rng, keys: ("GET", _some(rng, keys), Delay(rng.uniform(0.05, 0.4), times=rng.randint(1, 10))),
    "denied": lambda rng, keys: ("GET", _one(rng, keys), Status(403)),
    "denied all": lambda rng, keys: ("GET", rng.choice(("*", "*.zip")), Status(403)),
    "absent": lambda rng, keys: ("GET", _one(rng, keys), Status(404)),
    "bad HEAD": lambda rng, keys: ("HEAD", _some(rng, keys), Status(rng.choice((403, 404, 503)), rng.randint(1, 20))),
    "listing late": lambda rng, _: ("LIST", "*", Delay(rng.uniform(0.05, 0.6), times=rng.randint(1, 6))),
    "listing busy": lambda rng, _: ("LIST", "*", Status(503, times=rng.randint(1, 2))),
    "listing denied": lambda rng, _: ("LIST", "*", Status(403)),
    "listing cut": lambda rng, _: ("LIST", "*", Truncate(rng.random(), times=1)),
}
FAULT_WEIGHTS = (10, 8, 10, 2, 6, 6, 5, 5, 1, 5, 4, 5, 2, 1, 2)

CHANGES: dict[str, Callable[[Bucket, random.Random], str]] = {
    "object added": Bucket.add,
    "object replaced": Bucket.replace,
    "sidecar stale": Bucket.make_stale,
    "sidecar removed": Bucket.remove_sidecar,
    "sidecar mended": Bucket.mend_sidecar,
}
CHANGE_WEIGHTS = (2, 8, 3, 2, 3)


def put_in_force(proxy: FaultProxy, rng: random.Random, keys: list[str]) -> list[tuple[str, Drawn]]:
    """Draw up to four faults, put them in force, and return them with their names."""
    names = rng.choices(list(FAULTS), FAULT_WEIGHTS, k=rng.choice((0, 1, 1, 2, 2, 3, 4)))
    drawn = [(name, FAULTS[name](rng, keys)) for name in dict.fromkeys(names)]
    for _, fault in drawn:
        proxy.fault(*fault)
    return drawn


class Damage:
    """What is done to the files of an archive root between rounds, and what of it is still there.

    Attributes:
        spoilt: The SHA-256 of the bytes that were spoilt here, by the key of the file.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.spoilt: dict[str, str] = {}

    def draw(self, rng: random.Random) -> list[tuple[str, str]]:
        """Damage some files; return what was done, with the file's key."""
        done = []
        if rng.random() < 0.04:
            self._empty()
            done.append(("root emptied", ""))
        zips = sorted((self._root / "data").rglob("*.zip"))
        for path in rng.sample(zips, int(len(zips) * rng.choice((0.1, 0.3, 0.6, 1.0)))):
            path.unlink()
            done.append(("file deleted", self._key(path)))
            if rng.random() < 0.5:
                path.with_name(path.name + SIDECAR).unlink(missing_ok=True)
        for path in rng.choices(zips, k=rng.choice((0, 0, 1, 2))) if zips else ():
            how = rng.choice((self._spoil, self._cut, self._spoil_sidecar, self._delete_sidecar))
            if path.is_file():
                done.append((how(path, rng), self._key(path)))
        if rng.random() < 0.1:
            killed = self._root / ".crypto-archive" / "staging" / "20250715T120000Z-abc123"
            junk = killed / "00001" / "data" / "x.zip123"
            junk.parent.mkdir(parents=True, exist_ok=True)
            junk.write_bytes(b"half of a file")
            done.append(("staging littered", ""))
        return done

    def _empty(self) -> None:
        """Take away all files and the manifest, as if this were the first run; only quarantine and runs stay."""
        shutil.rmtree(self._root / "data", ignore_errors=True)
        for path in (self._root / ".crypto-archive").glob("manifest.sqlite*"):
            path.unlink()

    def forget_what_is_gone(self) -> None:
        """Strike the files off that are not as they were spoilt any more."""
        for key, sha256 in list(self.spoilt.items()):
            path = self._root / key
            if not path.is_file() or digest(path) != sha256:
                del self.spoilt[key]

    @property
    def bad_keys(self) -> set[str]:
        """The keys of the zips that a verification has to find bad."""
        owners = {key.removesuffix(SIDECAR) for key in self.spoilt}
        return {key for key in owners if (self._root / key).is_file()}

    def _key(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _write(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        self.spoilt[self._key(path)] = digest(path)

    def _spoil(self, path: Path, rng: random.Random) -> str:
        content = path.read_bytes()
        self._write(path, content[:10] + rng.randbytes(10) + content[20:])
        return "file spoilt"

    def _cut(self, path: Path, _: random.Random) -> str:
        self._write(path, path.read_bytes()[:-7])
        return "file cut short"

    def _spoil_sidecar(self, path: Path, _: random.Random) -> str:
        self._write(path.with_name(path.name + SIDECAR), b"no checksum at all")
        return "sidecar spoilt"

    def _delete_sidecar(self, path: Path, _: random.Random) -> str:
        path.with_name(path.name + SIDECAR).unlink(missing_ok=True)
        return "sidecar deleted"
