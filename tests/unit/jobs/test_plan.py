"""Nothing between the selection and the batches waits for the end of what comes before it, or holds all of it."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import date, timedelta
from itertools import count, islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import Access
from crypto_archive.jobs.plan import plan as plan_of
from crypto_archive.model import SIDECAR_SUFFIX, Action, Candidate, DateRange, Market, Partition
from crypto_archive.plan.batches import batches
from crypto_archive.plan.candidates import by_calendar, listed_objects
from crypto_archive.plan.decide import decide
from crypto_archive.plan.listed import ListedGroup
from crypto_archive.plan.selection import SeriesGroup, select
from crypto_archive.plan.totals import PlanTotals
from crypto_archive.root.listing import BucketListing
from crypto_archive.root.store import Root
from crypto_archive.s5cmd import listing
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.output import Listed
from tests.objects import FIRST_DAY, LISTED_AT, Files, a_context, an_object, row_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from crypto_archive.config.run_config import RunConfig
    from crypto_archive.jobs.plan import Plan

FAR_AWAY = date(9999, 12, 31)
TODAY = date(2025, 8, 1)


class Supply:
    """An endless supply of objects that knows how many of them were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def candidates(self) -> Iterator[Candidate]:
        for number in count():
            self.taken += 1
            yield Candidate(an_object(number % 28))

    def objects(self, prefix: str) -> Iterator[Listed]:
        """The listing of a prefix, which never ends."""
        series = re.sub(r"(?<=-)[0-9-]*$", "", prefix)
        for number in count(1):
            self.taken += 1
            for suffix in ("", SIDECAR_SUFFIX):
                key = f"{series}{FIRST_DAY + timedelta(number)}.zip{suffix}"
                yield Listed(key, 1, "etag", LISTED_AT)


def listing_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, list_objects: object, list_folders: object = None
) -> BucketListing:
    """Return the bucket's listing with other functions in s5cmd's place."""
    monkeypatch.setattr(listing, "list_objects", list_objects)
    monkeypatch.setattr(listing, "list_folders", list_folders)
    return BucketListing(Binary(tmp_path / "s5cmd", "2.3.0"), Access(), None, 0.0)


def a_group(symbols: tuple[str, ...], first: date, last: date) -> SeriesGroup:
    return SeriesGroup(row_of(Market.SPOT, "klines"), Partition.DAILY, symbols, ("1h",), DateRange(first, last))


def test_a_first_batch_comes_out_of_endless_candidates() -> None:
    supply = Supply()
    stream = batches(decide(a_context(), supply.candidates(), Files()), 10)
    batch = next(stream)
    assert (batch.commands, len(batch.items)) == (1, 100)  # all of one month
    assert supply.taken == 111  # ten for which there was no room, and the one that shows that they are a group


@pytest.mark.parametrize("taken", [1, 10, 100])
def test_a_plan_is_never_ahead_of_its_consumer_by_more_than_a_batch(taken: int) -> None:
    supply = Supply()
    totals = PlanTotals()
    stream = totals.counting_batches(batches(totals.counting(decide(a_context(), supply.candidates(), Files())), 10))
    for batch in islice(stream, taken):
        assert supply.taken == 100 * batch.number + 11
    assert totals.overall["batches"] == taken


def test_a_plan_looks_up_an_object_when_it_reaches_it() -> None:
    supply, files = Supply(), Files()
    next(decide(a_context(), supply.candidates(), files))
    assert (supply.taken, len(files.asked)) == (1, 1)


def test_the_calendar_is_walked_as_it_is_asked() -> None:
    """Eight thousand years of two symbols."""
    group = a_group(("BTCUSDT", "ETHUSDT"), date(2018, 1, 1), FAR_AWAY)
    found = by_calendar(a_context(FAR_AWAY), group, ())
    assert [str(item.period) for item, *_ in islice(found, 2)] == ["2018-01-01", "2018-01-02"]


def test_many_series_are_listed_few_at_first_and_then_a_hundred_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = a_group(tuple(f"X{number}" for number in range(1000)), FIRST_DAY, FIRST_DAY)
    taken = []

    def list_objects(_binary: Binary, _access: Access, prefixes: Iterable[str], **_: object) -> Iterator[Listed]:
        for prefix in prefixes:
            taken.append(prefix)
            for suffix in (".zip", ".zip" + SIDECAR_SUFFIX):
                yield Listed(prefix + FIRST_DAY.strftime("%d") + suffix, 1, "etag", LISTED_AT)

    bucket = listing_of(tmp_path, monkeypatch, list_objects)
    with bucket:
        stream = ListedGroup(a_context(TODAY), group, bucket).objects()
        seen: list[int] = []
        for number, one in enumerate(stream):
            assert one.object.series.symbol == f"X{number}"
            seen += [] if len(taken) in seen else [len(taken)]
    assert seen == [16, 48, 112, 212, 312, 412, 512, 612, 712, 812, 912, 1000]
    assert (len(taken), bucket.requests) == (1000, 1000)


# A plan from the calendar, series by series


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root that has two days of a series, which the manifest does not know."""
    root = tmp_path_factory.mktemp("root")
    for number in (0, 40):
        file = Root(root).file(an_object(number).key)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"bytes")
    return root


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data_types=st.sets(st.sampled_from(["klines", "trades", "metrics", "fundingRate"]), min_size=1),
    symbols=st.lists(st.sampled_from(["BTCUSDT", "ETHUSDT", "X2025-07-01", "币安人生USDT"]), min_size=1, unique=True),
    start=st.dates(date(2025, 5, 20), date(2025, 7, 10)),
    days=st.integers(0, 75),
    partition=st.sampled_from(["auto", "daily", "monthly"]),
    batch_size=st.sampled_from([1, 2, 20, 31, 100]),
    download_checksum=st.booleans(),
    ascii_only=st.booleans(),
    is_stored=st.booleans(),
)
def test_counting_series_by_series_is_counting_their_objects(
    stored: Path,
    data_types: set[str],
    symbols: list[str],
    start: date,
    days: int,
    is_stored: bool,
    ascii_only: bool,
    **options: object,
) -> None:
    config = configured(
        stored if is_stored else stored / "nowhere", markets=["spot", "futures_um"], data_types=sorted(data_types),
        symbols=symbols, intervals={"klines": ["1h", "1d"]}, start=str(start), end=str(start + timedelta(days)),
        discover="calendar", **options,
    )  # fmt: skip

    def made() -> Plan:
        return plan_of(config, today=TODAY + timedelta(60))

    at_once, one_by_one = made().consume(), made()
    for _ in one_by_one.batches():
        pass
    assert at_once.totals.groups == one_by_one.totals.groups
    assert (at_once.state, at_once.exit_code) == (one_by_one.state, one_by_one.exit_code)

    at_once, one_by_one = made(), made()
    one_by_one.objects = iter([*one_by_one.objects])
    assert [*at_once.lines(ascii_only=ascii_only)] == [*one_by_one.lines(ascii_only=ascii_only)]
    assert at_once.totals.groups == one_by_one.totals.groups
    assert at_once.state == one_by_one.state == "complete"


def configured(root: Path, **options: object) -> RunConfig:
    wanted = {
        "markets": ["spot"], "symbols": ["BTCUSDT"], "data_types": ["klines"], "intervals": ["1h"],
        "start": "2025-07-01", "end": "2025-07-09", "output_directory": str(root),
    }  # fmt: skip
    return load_run_config([], wanted | options, today=TODAY)


def test_the_stream_of_a_request_is_lazy_from_series_to_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supply = Supply()
    bucket = listing_of(
        tmp_path, monkeypatch, lambda _binary, _access, prefixes, **_: islice(supply.objects(prefixes[0]), 40)
    )
    asked = configured(tmp_path)
    context = a_context(TODAY, selection=asked.request.selection)
    found = listed_objects(context, select(context, asked.request.selection), Files(), bucket)
    with closing(found):
        stream = decide(context, found, Files())
        assert supply.taken == 0
        batch = next(batches(stream, 4))
        assert [item.action for item in batch.items] == [Action.FETCH] * 8
        assert supply.taken == 40  # the series, and no more


def test_a_plan_has_its_first_batch_immediately(tmp_path: Path) -> None:
    """Thousands of years lie ahead, of which only the first hundred months are planned, and the one after them."""
    wanted = configured(tmp_path / "root", start="2018-01-01", end="9999-12-30", discover="calendar", batch_size=100)
    with plan_of(wanted, today=FAR_AWAY) as plan_in_the_making:
        batch = next(plan_in_the_making.batches())
        assert plan_in_the_making.totals.overall["objects"] == len(batch.items) + 31 + 1
    assert (str(batch.items[0].object.period), str(batch.items[-1].object.period)) == ("2018-01-01", "2026-04-30")
    assert batch.commands == 100
    assert not (tmp_path / "root").exists()


def test_a_cancelled_listing_reports_nothing_about_what_it_did_not_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No series is reported as empty, and no glob as without a match, that was not listed."""

    def list_objects(
        _binary: Binary, _access: Access, prefixes: Sequence[str], cancelled: threading.Event
    ) -> Iterator[Listed]:
        if not cancelled.is_set():
            yield from islice(Supply().objects(prefixes[0]), 2)
            cancelled.set()

    def list_folders(*_: object, cancelled: threading.Event) -> tuple[str, ...]:
        assert cancelled.is_set()  # so that it does not ask
        return ()

    bucket = listing_of(tmp_path, monkeypatch, list_objects, list_folders)
    markets = {"spot": ["BTCUSDT", "ETHUSDT"], "futures_um": ["*USDT"]}
    asked = configured(tmp_path, markets=list(markets), symbols=markets, intervals=["1h", "1d"])
    context = a_context(TODAY, selection=asked.request.selection)
    found = listed_objects(context, select(context, asked.request.selection), Files(), bucket)
    assert len(list(found)) <= 1
