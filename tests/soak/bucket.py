"""The bucket of a soak: it changes as the archive does, and remembers every revision that it ever had."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from datetime import date
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive.sample import SIDECAR, SampleObject, days, of_days, put, replace, sidecar_bytes, write_sample

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

FIRST_DAY, LAST_DAY = date(2025, 7, 11), date(2025, 7, 15)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
INTERVALS = ("1h", "1m")
SELECTION = (
    *("-m", "spot", "-m", "futures_um", "-t", "klines", "-t", "metrics", "-s", "BTCUSDT", "-s", "ETHUSDT"),
    *("-i", "1h", "-i", "1m", "--start", str(FIRST_DAY), "--end", str(LAST_DAY)),
)
"""Options that select all that the bucket may ever hold."""
KEPT_BACK = 10


class Bucket:
    """A bucket of some forty objects.

    Attributes:
        folder: The folder that is the bucket.
        revisions: The SHA-256 digests of all bytes that ever stood at a key, sidecars included.
        keys: The keys of the zips that are in the bucket now.
    """

    def __init__(self, served: Path, rng: random.Random) -> None:
        """Write the bucket below the folder that is to be served, without the objects that come later."""
        everything = list(_objects())
        rng.shuffle(everything)
        self._later = everything[:KEPT_BACK]
        self.revisions: defaultdict[str, set[str]] = defaultdict(set)
        self._numbers: Counter[str] = Counter()
        self.folder = write_sample(served, everything[KEPT_BACK:]).bucket
        self.keys = sorted(item.key for item in everything[KEPT_BACK:])
        for key in self.keys:
            self._note(key)

    def add(self, rng: random.Random) -> str:
        """Publish an object that has not been there so far; do nothing when there is none left."""
        del rng  # which one is decided already
        if not self._later:
            return ""
        item = self._later.pop()
        write_sample(self.folder.parent, [item])
        self.keys = sorted([*self.keys, item.key])
        return self._note(item.key)

    def replace(self, rng: random.Random) -> str:
        """Replace a zip and its sidecar, mostly by other bytes of another length, sometimes of the same."""
        return self._replace(rng.choice(self.keys), same_size=rng.random() < 0.3, sidecar=True)

    def make_stale(self, rng: random.Random) -> str:
        """Replace a zip and leave its sidecar as it is, if it has one."""
        return self._replace(rng.choice(self.keys), same_size=rng.random() < 0.3, sidecar=False)

    def remove_sidecar(self, rng: random.Random) -> str:
        """Take a sidecar away."""
        key = rng.choice(self.keys)
        (self.folder / (key + SIDECAR)).unlink(missing_ok=True)
        return key

    def mend_sidecar(self, rng: random.Random) -> str:
        """Put a sidecar right that is stale or gone; do nothing when there is none."""
        wrong = [key for key in self.keys if not self.sidecar_is_right(key)]
        if not wrong:
            return ""
        key = rng.choice(wrong)
        item = SampleObject.of_key(key)
        put(self.folder, key + SIDECAR, sidecar_bytes(item, (self.folder / key).read_bytes()), item.written_at)
        return self._note(key)

    def sidecar_is_right(self, key: str) -> bool:
        """Whether a zip has a sidecar that vouches for it."""
        sidecar = self.folder / (key + SIDECAR)
        return sidecar.is_file() and sidecar.read_text("utf-8").startswith(digest(self.folder / key))

    def had(self, key: str, sha256: str) -> bool:
        """Whether the bucket ever had these bytes at a key."""
        return sha256 in self.revisions[key]

    def _replace(self, key: str, *, same_size: bool, sidecar: bool) -> str:
        self._numbers[key] += 1
        replace(self.folder, key, revision=self._numbers[key], same_size=same_size, sidecar=sidecar)
        return self._note(key)

    def _note(self, key: str) -> str:
        for name in (key, key + SIDECAR):
            if (self.folder / name).is_file():
                self.revisions[name].add(digest(self.folder / name))
        return key


def _objects() -> Iterator[SampleObject]:
    window = list(days(FIRST_DAY, LAST_DAY))
    for market in (Market.SPOT, Market.FUTURES_UM):
        yield from of_days(market, "klines", SYMBOLS, window, INTERVALS)
    yield from of_days(Market.FUTURES_UM, "metrics", SYMBOLS, window)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
