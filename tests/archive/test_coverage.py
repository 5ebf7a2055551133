"""``coverage`` and ``symbols`` against a bucket whose days are known, after a collect of a part of it."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from crypto_archive.model import Market
from tests.archive.results import ROOT, collect, files_below, validate
from tests.archive.sample import SampleSpec
from tests.archive.sample.objects import days, of_days, of_months
from tests.archive.sample.presets import NON_ASCII

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.archive.running import Runner
    from tests.archive.sample import SampleObject
    from tests.archive.served import Archive

SPOT, UM = Market.SPOT, Market.FUTURES_UM
KLINES = ("-m", "spot", "-t", "klines", "-i", "1d")
SUMMER = ("--start", "2025-05-01", "--end", "2025-07-31")
HOLE = (date(2025, 6, 10), date(2025, 6, 11))


def objects() -> Iterator[SampleObject]:
    """Bitcoin with a hole and a monthly object, a name that was used twice, one that came late, funding rates.

    The monthly object has days of which there are no daily objects.
    """
    bitcoin = [day for day in days(date(2025, 5, 20), date(2025, 7, 15)) if day not in HOLE]
    yield from of_days(SPOT, "klines", ("BTCUSDT",), bitcoin, ("1d",))
    yield from of_months(SPOT, "klines", ("BTCUSDT",), (date(2025, 5, 1),), ("1d",))
    luna = [*days(date(2025, 5, 1), date(2025, 5, 10)), *days(date(2025, 7, 1), date(2025, 7, 5))]
    yield from of_days(SPOT, "klines", ("LUNAUSDT",), luna, ("1d",))
    yield from of_days(SPOT, "klines", (NON_ASCII,), days(date(2025, 7, 10), date(2025, 7, 15)), ("1d",))
    yield from of_months(UM, "fundingRate", ("BTCUSDT",), (date(2025, 6, 1),))


@pytest.fixture
def here(run: Runner, own_archive: Callable[[SampleSpec], Archive]) -> Runner:
    """A runner at a bucket of these objects."""
    return run.at(own_archive(SampleSpec.of(objects())).endpoint_url)


def coverage(run: Runner, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    ended, stdout, stderr = run("coverage", "--json", "-o", ROOT, *arguments)
    assert ended == code, stderr
    document: dict[str, Any] = json.loads(stdout)
    validate(document, "coverage.schema.json")
    return document


def test_what_is_on_disk_and_what_is_not(here: Runner) -> None:
    collect(here, *KLINES, "-s", "BTCUSDT", "--start", "2025-07-01", "--end", "2025-07-05")
    collect(here, *KLINES, "-s", "BTCUSDT", "--start", "2025-05-01", "--end", "2025-05-31", "--partition", "monthly")
    by_hand = here.folder / ROOT / "data/spot/daily/klines/XUSDT/1d/XUSDT-1d-2025-07-03.zip"
    by_hand.parent.mkdir(parents=True)
    by_hand.touch()
    before = files_below(here.folder)
    document = coverage(here, *KLINES, *SUMMER, "-s", "*USDT")
    assert files_below(here.folder) == before
    bitcoin, luna, by_hand_only, late = document["series"]
    assert [one["symbol"] for one in document["series"]] == ["BTCUSDT", "LUNAUSDT", "XUSDT", NON_ASCII]
    assert (bitcoin["first_day"], bitcoin["last_day"]) == ("2025-05-01", "2025-07-15")
    assert bitcoin["holes"] == [["2025-06-10", "2025-06-11"]]
    assert bitcoin["months"] == [
        {"month": "2025-05", "days": 31, "stored": 31, "listed": 31, "to_fetch": 0, "unopened": 0, "missing": {}},
        {"month": "2025-06", "days": 30, "stored": 0, "listed": 28, "to_fetch": 28, "unopened": 0,
         "missing": {"hole": 2}},
        {"month": "2025-07", "days": 31, "stored": 5, "listed": 15, "to_fetch": 10, "unopened": 0,
         "missing": {"late": 16}},
    ]  # fmt: skip
    assert luna["missing"] == {"hole": 51, "delisted": 26}
    assert (late["to_fetch"], late["missing"]) == (6, {"late": 16, "before-first": 70})
    assert (by_hand_only["stored"], by_hand_only["listed"], by_hand_only["first_day"]) == (1, 0, None)
    assert document["totals"]["days"] == 4 * 92
    again = coverage(here, *KLINES, *SUMMER, "-s", "*USDT")
    assert again["series"] == document["series"]
    assert len([text for text in again["notices"] if "listings are cached" in text]) == 1


def test_all_data_types_each_in_its_own_form(here: Runner) -> None:
    arguments = ("-m", "spot", "-m", "futures_um", "-t", "klines", "-t", "fundingRate", "-t", "bookDepth", "-i", "1d")
    code, stdout, stderr = here("coverage", *arguments, "-s", "BTCUSDT", "-s", "NONEUSDT", *SUMMER)
    assert (code, stderr) == (3, "")
    lines = [" ".join(line.split()) for line in stdout.splitlines()]
    assert [line for line in lines if line.startswith("BTCUSDT")] == [
        "BTCUSDT 1d ░░░ ××× ░░░ 0 % 74 d 2 d",
        "BTCUSDT /// /// /// –",  # spot bookDepth
        "BTCUSDT 1d /// /// /// –",  # futures_um klines
        "BTCUSDT ··· ░░░ !!! 0 % 30 d",  # fundingRate
        "BTCUSDT /// /// /// –",  # futures_um bookDepth
    ]
    assert "NONEUSDT 1d /// /// /// –" in lines
    notes = [line.partition("; nearest is")[0] for line in lines if line.startswith("note") and "is late" not in line]
    assert notes == [
        "note spot bookDepth: never published by the archive; nothing to plan",
        "note spot does not have fundingRate; nothing to plan",
    ]  # and nothing of what is planned in which form, or of what is not listed: the map shows it
    assert "error the archive has no symbol 'NONEUSDT'" in [line.partition(";")[0] for line in lines]
    assert not (here.folder / "output").exists()


def test_a_page_is_written_in_one_piece(here: Runner) -> None:
    page = here.folder / "pages" / "coverage.html"
    code, stdout, stderr = here("coverage", *KLINES, *SUMMER, "-s", "*USDT", "--to", page)
    assert (code, stdout) == (0, "")
    assert "coverage.html" in stderr
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert [one[0] for one in data["groups"][0]["series"]] == ["BTCUSDT", "LUNAUSDT", NON_ASCII]
    assert data["groups"][0]["series"][0][2] == "40f2h34f16l"
    assert files_below(page.parent) == ["coverage.html"]


def test_the_calendar_needs_no_archive(run: Runner) -> None:
    run = run.at("http://127.0.0.1:1")
    document = coverage(run, *KLINES, "-s", "BTCUSDT", "--start", "2025-07-01", "--end", "2025-07-05",
                        "--discover", "calendar")  # fmt: skip
    assert document["totals"]["to_fetch"] == 5
    assert document["selection"]["discovery"] == "calendar"


def test_the_exit_code_shows_that_nothing_was_found(here: Runner) -> None:
    document = coverage(here, *KLINES, "-s", "NO*USDT", code=3)
    assert document["series"] == []
    assert document["notices"] == ["spot klines: no symbol in the archive matches NO*USDT; nothing to plan"]


def test_files_and_formats_go_together(run: Runner) -> None:
    code, _, stderr = run("coverage", *KLINES, "--to", "coverage.txt")
    assert code == 2
    assert "name a file that ends in .html or .json, or add --json" in stderr
    (run.folder / "taken.html").mkdir()
    code, _, stderr = run("coverage", *KLINES, "--to", "taken.html")
    assert code == 5
    assert "Hint: Name a file in a writable folder with --to." in stderr


def test_the_universe_of_a_day(here: Runner) -> None:
    code, stdout, stderr = here("symbols", "-m", "spot", "--as-of", "2025-05-05", "--json")
    assert (code, stderr) == (0, "")
    document = json.loads(stdout)
    assert document == {
        "schema_version": 1,
        "as_of": "2025-05-05",
        "symbols": [
            {
                "market": "spot",
                "data_type": "klines",
                "symbol": "BTCUSDT",
                "interval": "1d",
                "first_day": "2025-05-01",
                "last_day": "2025-07-15",
                "days": 74,
                "answer": "monthly",
                "reused": False,
                "gaps": [],
            },
            {
                "market": "spot",
                "data_type": "klines",
                "symbol": "LUNAUSDT",
                "interval": "1d",
                "first_day": "2025-05-01",
                "last_day": "2025-07-05",
                "days": 15,
                "answer": "daily",
                "reused": True,
                "gaps": [["2025-05-11", "2025-06-30"]],
            },
        ],
    }
    code, stdout, _ = here("symbols", "--as-of", "2025-07-12", "--format", "names")
    assert (code, stdout.splitlines()) == (0, ["BTCUSDT", NON_ASCII])
    # A hole of the archive drops no living symbol, and the gap between the two lives of a name does.
    assert here("symbols", "-m", "spot", "--as-of", "2025-06-10", "-f", "names")[:2] == (0, "BTCUSDT\n")


def test_the_universe_as_a_table(here: Runner) -> None:
    code, stdout, stderr = here("symbols", "-m", "spot", "*USDT", "!BTC*")
    words = [line.split() for line in stdout.splitlines()]
    assert (code, stderr) == (0, "")
    assert [
        "spot",
        "LUNAUSDT",
        "2025-05-01",
        "2025-07-05",
        "15",
        *["reused?", "2025-05-11", "to", "2025-06-30"],
    ] in words
    assert ["spot", NON_ASCII, "2025-07-10", "2025-07-15", "6"] in words
    assert stdout.splitlines()[-1] == "2 symbols, 1 with a long gap: their names may have been reused"
    code, stdout, _ = here("symbols", "-t", "fundingRate")
    assert (code, "1 symbol" in stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--as-of", "soon"), "'soon' is not a day; write YYYY-MM-DD"),
        (("--as-of", "2999-01-01"), "Error: --as-of: 2999-01-01 is not over yet, so there is no data of it"),
        (("-m", "spot", "-t", "fundingRate"), "Error: The archive has no fundingRate in spot"),
        (("-t", "kline"), "unknown data type 'kline'; did you mean 'klines'?"),
    ],
)
def test_wrong_words_are_reported(run: Runner, arguments: tuple[str, ...], message: str) -> None:
    code, stdout, stderr = run("symbols", *arguments)
    assert (code, stdout) == (2, "")
    assert message in stderr
