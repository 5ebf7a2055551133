"""What sets a plan apart from a lock file, as documents for programs."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from crypto_archive.lockfile.difference import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from crypto_archive.lockfile.difference import Difference
    from crypto_archive.model import Pin

SCHEMA_VERSION = 1


class Differences:
    """What sets a plan apart from a lock file; iterate it, once.

    Attributes:
        counts: How many there were of each kind so far.
        lock: The lock file.
    """

    def __init__(self, found: Iterable[Difference], lock: Path) -> None:
        self.counts: Counter[Kind] = Counter()
        self.lock = lock
        self._found = found

    def __iter__(self) -> Iterator[Difference]:
        for difference in self._found:
            self.counts[difference.kind] += 1
            yield difference

    @property
    def by_name(self) -> dict[str, int]:
        """The counts by the names of the kinds, all of them."""
        return {str(kind): self.counts[kind] for kind in Kind}

    @property
    def summary(self) -> str:
        """The counts in words."""
        if not self.counts:
            return "The plan is as the lock file says."
        return ", ".join(f"{count:,} {name}" for name, count in self.by_name.items())

    def lines(self) -> Iterator[str]:
        """Yield a JSON line a difference."""
        return (json.dumps(_document(difference), ensure_ascii=False) for difference in self)

    def document(self) -> Iterator[str]:
        """Yield one JSON document in pieces, so that it may be of any length; the counts come last."""
        head = json.dumps({"schema_version": SCHEMA_VERSION, "lock": str(self.lock)}, ensure_ascii=False)
        yield head[:-1] + ', "differences": ['
        between = "\n"
        for line in self.lines():
            yield between + line
            between = ",\n"
        yield f'\n], "counts": {json.dumps(self.by_name)}}}\n'


def _document(difference: Difference) -> dict[str, object]:
    return {
        "kind": str(difference.kind),
        "key": difference.key,
        "locked": _pin(difference.locked),
        "planned": _pin(difference.planned),
    }


def _pin(pin: Pin | None) -> dict[str, object] | None:
    if pin is None:
        return None
    return {
        "size": pin.size,
        "etag": pin.etag,
        "last_modified": pin.last_modified.isoformat(),
        "sha256": pin.sha256 or None,
    }
