"""Work begins while the listing is still under way, and what is there already costs no request of its own."""

from __future__ import annotations

import signal
from datetime import date
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive.proxy import Delay, FaultProxy, Stall
from tests.archive.results import ROOT, THREE, collect, ended
from tests.archive.running import until
from tests.archive.sample import SampleSpec, days, of_days

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.archive.running import Runner
    from tests.archive.served import Archive

TWO_PAGES = (date(2023, 6, 1), date(2024, 12, 31))
"""Of a listing: 580 objects with their sidecars, where a page has 1,000 keys."""


def test_the_first_batch_is_fetched_before_the_listing_has_ended(
    run: Runner, own_archive: Callable[[SampleSpec], Archive]
) -> None:
    """The server answers the first request of the listing; the next one never."""
    served = own_archive(SampleSpec.of(of_days(Market.SPOT, "klines", ("BTCUSDT",), days(*TWO_PAGES), ("1d",))))
    # Over so many years one prefix costs less than one a year, so that there is a second page to wait for.
    selection = ("-m", "spot", "-t", "klines", "-i", "1d", "-s", "BTCUSDT", "--partition", "daily")
    selection = (*selection, "--start", "2020-01-01")
    with FaultProxy(served.endpoint_url) as proxy:
        proxy.fault("LIST", "*BTCUSDT*", Delay(0.0, times=1))
        held = proxy.fault("LIST", "*BTCUSDT*", Stall(0.0))
        with run.at(proxy.endpoint_url).start("collect", "--json", "-o", ROOT, *selection) as process:
            until(lambda: any((run.folder / ROOT).glob("data/**/*.zip")))
            held.wait()
            process.send_signal(signal.SIGINT)  # it has shown what it can; the rest would only take time
            done = ended(run, process)
    assert done.code == 130
    assert done.outcomes["fetched"] > 0
    assert done.events("batch-started")[0]["objects"] == 50


def test_what_is_present_costs_no_request_of_its_own(run: Runner, proxy: FaultProxy) -> None:
    faulty = run.at(proxy.endpoint_url)
    assert collect(faulty, *THREE).outcomes == {"fetched": 3}
    for discovery in ("listing", "calendar"):
        before = len(proxy.requests)
        assert collect(faulty, *THREE, "--discover", discovery).outcomes == {"present": 3}
        assert {seen.kind for seen in proxy.requests[before:]} <= ({"LIST"} if discovery == "listing" else set())
