"""Objects and plans as tests need them, made through the bundled matrix, so that their keys are real ones."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.config.run_config import Fetching, Request, RunConfig, Selection
from crypto_archive.events import Cancellation
from crypto_archive.model import Action, ManifestEntry, Market, Partition, Period, PlannedObject, RemoteStat, Verdict
from crypto_archive.root.manifest import Records, entry_of as entry_of_row, row_of as row_of_entry
from crypto_archive.root.session import Context
from crypto_archive.root.store import Root

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping
    from typing import Any

    from crypto_archive.catalog.days import Days
    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.model import ArchiveObject, Notice, OnNotice, StoredStat

FIRST_DAY = date(2025, 7, 1)
LISTED_AT = datetime(2025, 7, 16, 0, 10, 11, tzinfo=UTC)


@cache
def bundled() -> Matrix:
    """The matrix that comes with the package."""
    return load_matrix()


def row_of(market: Market, data_type: str) -> Row:
    """A row of the bundled matrix, which must be there."""
    row = bundled().row(market, data_type)
    assert row is not None, f"the matrix has no {market} {data_type}"
    return row


def an_object(
    number: int = 0,
    *,
    symbol: str = "BTCUSDT",
    market: Market = Market.SPOT,
    data_type: str = "klines",
    interval: str = "1h",
) -> ArchiveObject:
    """The daily object of a series, ``number`` days after the first of July 2025."""
    row = row_of(market, data_type)
    period = Period(Partition.DAILY, FIRST_DAY + timedelta(days=number))
    return row.object(symbol, interval if row.has_intervals else None, period)


def listed(
    size: int = 100,
    etag: str = "e" * 32,
    at: datetime = LISTED_AT,
    *,
    has_sidecar: bool = True,
    sidecar_etag: str | None = None,
) -> RemoteStat:
    """What a listing says of an object."""
    return RemoteStat(size, etag, at, has_sidecar, sidecar_etag=sidecar_etag)


def to_fetch(item: ArchiveObject, *, with_sidecar: bool = True, remote: RemoteStat | None = None) -> PlannedObject:
    """An object that is to be fetched."""
    return PlannedObject(item, Action.FETCH, "not there", with_sidecar, remote)


def entry_of(key: str) -> ManifestEntry:
    """What a manifest says of an object of five bytes."""
    return ManifestEntry(key, 5, "a" * 64, Verdict.OK, "etag", None, LISTED_AT, "run")


def a_context(
    today: date = FIRST_DAY,
    on_notice: OnNotice = lambda notice: pytest.fail(notice.text),
    *,
    selection: Selection | None = None,
    root: Path = Path("no root"),
    **request: Any,
) -> Context:
    """The context of a job; it fails at a notice that nothing takes."""
    asked = Request(selection or Selection(()), root, **request)
    return Context(RunConfig(asked, bundled(), (), (), {}), Root(root.absolute()), today, on_notice=on_notice)


class Files:
    """Files at their final paths, in the place of ``StoredFiles``.

    Attributes:
        asked: The keys that were looked up.
    """

    def __init__(
        self,
        look_up: Callable[[str], StoredStat | None] = lambda _: None,
        short: Container[str] = (),
        sidecars: Mapping[str, str] = MappingProxyType({}),
        rows: Mapping[str, Days] | None = None,
    ) -> None:
        self._rows = rows or {}
        self.asked: list[str] = []
        self._look_up = look_up
        self._short = short
        self.sidecars = sidecars

    def stat(self, key: str) -> StoredStat | None:
        self.asked.append(key)
        return self._look_up(key)

    find = stat

    def size(self, key: str) -> int | None:
        found = self.stat(key)
        return None if found is None else found.size

    def recorded(self, key: str) -> ManifestEntry | None:
        found = self._look_up(key)
        return None if found is None else found.recorded

    def digest(self, key: str, size: int, remote: RemoteStat | None) -> str | None:
        recorded = self.recorded(key)
        return (
            None if recorded is None else Records({key: row_of_entry(recorded)}, entry_of_row).digest(key, size, remote)
        )

    def sidecar_etag(self, key: str) -> str | None:
        return self.sidecars.get(key)

    def is_short(self, key: str, _: RemoteStat) -> bool:
        return key in self._short

    def month_days(self, item: ArchiveObject, _: RemoteStat | None) -> Days | None:
        return self._rows.get(item.key)


def not_a_word(notice: Notice) -> None:
    """Takes the notices of a plan that has nothing to say."""
    pytest.fail(notice.text)


def kept(item: ArchiveObject, size: int = 7) -> PlannedObject:
    """An object that is there already."""
    return PlannedObject(item, Action.KEEP, "there", stored_size=size)


def many_to_fetch(count: int, *, with_sidecar: bool = True) -> Iterator[PlannedObject]:
    """The first objects of one series, all to be fetched."""
    return (to_fetch(an_object(number), with_sidecar=with_sidecar) for number in range(count))


def context_of(root: Root, fetching: Fetching | None = None, *, cancellation: Cancellation | None = None) -> Context:
    """The context of a job in a root, a month after the first day."""
    request = Request(Selection(()), root.path, fetching=fetching or Fetching())
    config = RunConfig(request, bundled(), (), (), {})
    return Context(config, root, date(2025, 8, 1), cancellation or Cancellation())
