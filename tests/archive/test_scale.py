"""Work begins while the listing is still under way, and what is there already costs no request of its own."""

from __future__ import annotations

import signal
from datetime import date
from typing import TYPE_CHECKING

from crypto_archive.model import Market
from tests.archive.proxy import FaultProxy, Stall
from tests.archive.results import ROOT, THREE, collect, ended
from tests.archive.running import until
from tests.archive.sample import SampleSpec, days, of_days

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.archive.running import Runner
    from tests.archive.served import Archive


def test_the_first_batch_is_fetched_before_the_listing_has_ended(
    run: Runner, own_archive: Callable[[SampleSpec], Archive]
) -> None:
    """The server answers for the series that are listed first; for the last one it never does."""
    symbols, dates = [f"S{number:02}USDT" for number in range(20)], (date(2025, 7, 11), date(2025, 7, 15))
    served = own_archive(SampleSpec.of(of_days(Market.SPOT, "klines", symbols, days(*dates), ("1d",))))
    selection = ("-m", "spot", "-t", "klines", "-i", "1d", *(f"-s{symbol}" for symbol in symbols))
    selection = (*selection, "--partition", "daily", "--start", str(dates[0]), "--end", str(dates[1]))
    with FaultProxy(served.endpoint_url) as proxy:
        held = proxy.fault("LIST", f"*{symbols[-1]}*", Stall(0.0))
        with run.at(proxy.endpoint_url).start("collect", "--json", "-o", ROOT, *selection) as process:
            until(lambda: any((run.folder / ROOT).glob("data/**/*.zip")))
            held.wait()
            process.send_signal(signal.SIGINT)  # it has shown what it can; the rest would only take time
            done = ended(run, process)
    assert done.code == 130
    assert done.outcomes["fetched"] > 0
    assert done.events("batch-started")[0]["objects"] <= 95  # of 100, as many as were listed


def test_what_is_present_costs_no_request_of_its_own(run: Runner, proxy: FaultProxy) -> None:
    faulty = run.at(proxy.endpoint_url)
    assert collect(faulty, *THREE).outcomes == {"fetched": 3}
    for discovery in ("listing", "calendar"):
        before = len(proxy.requests)
        assert collect(faulty, *THREE, "--discover", discovery).outcomes == {"present": 3}
        assert {seen.kind for seen in proxy.requests[before:]} <= ({"LIST"} if discovery == "listing" else set())
