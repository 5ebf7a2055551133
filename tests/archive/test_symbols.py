"""Symbols from the real folders: ``all``, filters, lists, and names that the archive does not have."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.model import Market
from tests.archive.results import collect
from tests.archive.sample import NON_ASCII
from tests.archive.served import needs_the_sample

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.running import Runner
    from tests.archive.sample import SampleSpec
    from tests.archive.served import Archive

pytestmark = needs_the_sample

DAY = ("--start", "2025-07-15", "--end", "2025-07-15")
HOURS = ("-t", "klines", "-i", "1h", *DAY)
UM, CM, SPOT = ("-m", "futures_um"), ("-m", "futures_cm"), ("-m", "spot")
SETTLED = {"ICPUSDTSETTLED", "BTCSTUSDT_SETTLED", "TLMUSDTSETTLEDSETTLED"}


def planned(run: Runner, *arguments: str) -> dict[str, Any]:
    code, stdout, stderr = run("plan", "--json", *arguments)
    assert code == 0, stderr
    document: dict[str, Any] = json.loads(stdout)
    return document


def symbols(run: Runner, *arguments: str) -> set[str]:
    code, stdout, stderr = run("plan", "--format", "jsonl", *arguments)
    assert code in {0, 3}, stderr
    return {json.loads(line)["symbol"] for line in stdout.splitlines()}


def with_hours(spec: SampleSpec, market: Market) -> set[str]:
    """The symbols that the sample has hourly candles of on that day."""
    found = [item for item in spec.objects if (item.market, item.data_type, item.interval) == (market, "klines", "1h")]
    return {item.symbol for item in found if str(item.period) == "2025-07-15"}


def test_all_is_what_the_folders_are(run: Runner, archive: Archive) -> None:
    every = with_hours(archive.spec, Market.FUTURES_UM)
    assert {NON_ASCII, "BTCUSDT_260925", *SETTLED} < every
    assert symbols(run, *UM, *HOURS, "-s", "all") == every
    assert symbols(run, *UM, *HOURS, "-s", "all", "-s", "!*SETTLED", "-s", "!BTC*") == {
        symbol for symbol in every if not symbol.endswith("SETTLED") and not symbol.startswith("BTC")
    }


def test_filters_choose_from_all_folders(run: Runner, archive: Archive) -> None:
    every = with_hours(archive.spec, Market.FUTURES_UM)
    assert symbols(run, *UM, *HOURS, "--contract", "delivery") == {"BTCUSDT_260925"}
    assert symbols(run, *UM, *HOURS, "--settled") == SETTLED
    assert symbols(run, *UM, *HOURS, "--no-settled") == every - SETTLED
    assert symbols(run, *UM, *HOURS, "--quote", "USDT", "--contract", "perpetual", "--no-settled") == every - {
        *SETTLED, "BTCUSDT_260925",
    }  # fmt: skip


def test_filters_count_for_each_market_as_it_names_its_contracts(run: Runner, archive: Archive) -> None:
    spot, coin = with_hours(archive.spec, Market.SPOT), with_hours(archive.spec, Market.FUTURES_CM)
    assert symbols(run, *CM, *SPOT, *HOURS, "--contract", "delivery") == {*spot, "BTCUSD_250627"}
    assert symbols(run, *CM, *SPOT, *HOURS, "--quote", "USD") == coin


def test_a_preset_filters_and_the_report_says_so(run: Runner) -> None:
    (run.folder / "my.yaml").write_text(
        "markets: [futures_um]\nquote_assets: [USDT]\ncontract: perpetual\nsettled: false\ndata_types: [klines]\n"
        "intervals: [1h]\nsymbols: ['BTC*', BTCUSDT_260925]\ndate_range: {start: 2025-07-15, end: 2025-07-15}\n"
    )
    done = collect(run, "-p", "my.yaml")
    assert (done.code, done.outcomes) == (0, {"fetched": 1})
    asked = {name: done.report["selection"][name] for name in ("quote_assets", "contract", "settled")}
    assert asked == {"quote_assets": ["USDT"], "contract": "perpetual", "settled": False}


def test_a_filter_that_leaves_nothing_is_reported(run: Runner) -> None:
    code, stdout, _ = run("plan", *UM, *HOURS, "--quote", "EUR")
    assert code == 3
    assert "futures_um klines: no symbol in the archive matches * (quote asset EUR); nothing to plan" in stdout


def test_a_list_from_a_file(run: Runner) -> None:
    (run.folder / "symbols.txt").write_text(f"BTC*  # and more\n{NON_ASCII}, !*_*\n", encoding="utf-8")
    assert symbols(run, *UM, *HOURS, "-s", "@symbols.txt") == {"BTCUSDT", NON_ASCII}
    (run.folder / "symbols.txt").write_text("BTCUSDT\n\na/b\n")
    code, stdout, stderr = run("plan", *UM, *HOURS, "-s", "@symbols.txt")
    assert (code, stdout) == (2, "")
    assert stderr.startswith(
        "Error: --symbol @symbols.txt, line 3: 'a/b' is not a valid symbol; write a name like BTCUSDT"
    )


def test_a_list_from_standard_input(run: Runner, tmp_path: Path) -> None:
    done = subprocess.run(
        [*run.command, "plan", "--json", *UM, *HOURS, "-s", "-"],
        cwd=run.folder, env=dict(run.environment), input=f"{NON_ASCII}\nBTC*\n!*_*\n", capture_output=True,
        encoding="utf-8", check=True, timeout=run.seconds,
    )  # fmt: skip
    assert json.loads(done.stdout)["totals"]["objects"] == 2
    code, _, stderr = run("plan", *UM, *HOURS, "-s", "-")
    assert (code, stderr) == (2, "Error: --symbol: standard input contains no symbols\n")


def test_a_misspelt_symbol_comes_with_the_nearest_real_ones(run: Runner) -> None:
    names = ("1000SHIBUSD", "ADAUDST", "币安USDT")
    words = [word for name in (*names, "BTCUSDT") for word in ("-s", name)]
    code, stdout, stderr = run("plan", "--json", *UM, *HOURS, *words)
    document = json.loads(stdout)
    assert (code, document["totals"]["objects"]) == (3, 1)
    assert {one["symbol"]: one["nearest"][0] for one in document["unknown_symbols"]} == dict(
        zip(names, ("1000SHIBUSDT", "ADAUSDT", NON_ASCII), strict=True)
    )
    assert stderr.startswith(
        "Error: the archive has nothing of 3 named symbols: '1000SHIBUSD' (nearest: '1000SHIBUSDT'"
    )


UNKNOWN = "the archive has no symbol 'BTCUSDTT'; nearest "


@pytest.mark.parametrize("source", ["option", "preset", "list"])
def test_an_unknown_symbol_makes_a_collect_partial(run: Runner, source: str) -> None:
    (run.folder / "mine.yaml").write_text("symbols: [BTCUSDT, BTCUSDTT]\n", "utf-8")
    (run.folder / "symbols.txt").write_text("BTCUSDT\nBTCUSDTT\n", "utf-8")
    words = {
        "option": ("-s", "BTCUSDT", "-s", "BTCUSDTT"),
        "preset": ("-p", "mine.yaml"),
        "list": ("-s", "@symbols.txt"),
    }
    done = collect(run, *SPOT, *HOURS, *words[source])
    assert (done.code, done.report["status"], done.outcomes) == (3, "partial", {"fetched": 1})
    assert done.report["unknown_symbols"] == [{"symbol": "BTCUSDTT", "nearest": ["BTCUSDT", "ETHUSDT", "BNBUSDT"]}]
    code, stdout, stderr = run("collect", *SPOT, *HOURS, *words[source], "-o", "archive", "-q")
    assert (code, stdout) == (3, "")
    assert stderr.startswith("Error: partial: 1 object, ")
    assert f"; {UNKNOWN}" in stderr


def test_an_unknown_symbol_is_an_error_everywhere(run: Runner) -> None:
    selection = (*SPOT, *HOURS, "-s", "BTCUSDT", "-s", "BTCUSDTT")
    collect(run, *SPOT, *HOURS, "-s", "BTCUSDT")
    for words in (
        ("plan", *selection, "--format", "jsonl", "-q"),
        ("verify", *selection, "-o", "archive", "--discover", "listing"),
        ("coverage", *selection, "-o", "archive"),
        ("coverage", *selection, "-o", "archive", "-q", "--json"),
        ("symbols", *SPOT[:2], "-t", "klines", "-i", "1h", "-s", "BTCUSDT", "-s", "BTCUSDTT"),
    ):
        code, stdout, stderr = run(*words)
        assert (code, UNKNOWN in stdout + stderr) == (3, True), f"{words}: {stdout}{stderr}"


def test_a_symbol_of_another_selected_market_is_not_an_error(run: Runner) -> None:
    done = collect(run, "-m", "spot", *UM, *HOURS, "-s", "1000SHIBUSDT", "-s", "BTCUSDT")
    assert (done.code, done.report["unknown_symbols"]) == (0, [])
    assert "spot klines: the archive has no symbol '1000SHIBUSDT'" in " ".join(done.report["notices"])


def test_without_a_listing_an_unknown_symbol_shows_in_the_end(run: Runner) -> None:
    words = (*SPOT, *HOURS, "-s", "btcusdt", "-s", "BTCUSDTT", "--discover", "calendar")
    done = collect(run, *words)
    assert (done.code, done.report["status"], done.outcomes) == (3, "partial", {"fetched": 1, "absent": 1})
    assert [one["symbol"] for one in done.report["unknown_symbols"]] == ["BTCUSDTT"]
    assert run("plan", *words).code == 0


def test_a_symbol_that_has_nothing_on_these_days_is_not_unknown(run: Runner) -> None:
    code, stdout, _ = run("plan", *CM, "-t", "klines", "-i", "1h", "--start", "2024-07-15", "--end", "2024-07-15",
                          "-s", "BTCUSD_250627")  # fmt: skip
    assert code == 3
    assert "futures_cm klines BTCUSD_250627 1h: 1 of 1 days not available: 2024-07-15 before-first" in stdout
    assert "has no symbol" not in stdout


def test_a_symbol_that_its_market_has_in_another_type_is_not_an_error(run: Runner) -> None:
    days = ("--start", "2024-03-15", "--end", "2024-03-15")
    done = collect(run, *CM, "-t", "liquidationSnapshot", *days, "-s", "BTCUSD_PERP", "-s", "ETHUSD_PERP")
    assert (done.code, done.outcomes, done.report["unknown_symbols"]) == (0, {"fetched": 1}, [])
    assert "futures_cm liquidationSnapshot: the archive has no symbol 'ETHUSD_PERP'" in " ".join(done.report["notices"])
