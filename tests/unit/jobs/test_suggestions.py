"""What may be written for a field: quick, narrowed by what is known, and from files alone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import crypto_archive
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.config.presets import list_presets
from crypto_archive.jobs.suggestions import suggestions
from crypto_archive.model import Market
from crypto_archive.root.listing_cache import FOLDERS, ListingStore, cached_symbols
from crypto_archive.root.store import Root
from crypto_archive.s5cmd.output import Listed

MATRIX = load_matrix()
KLINES = "data/spot/daily/klines/"
FUNDING = "data/futures/um/monthly/fundingRate/"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and one for the user's own presets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def words(field: str, begun: str = "", **given: list[str]) -> list[str]:
    return [word for word, _ in suggestions(field, begun, given)]


def test_presets_have_what_they_are_for(here: Path) -> None:
    own = here / "config" / "crypto-archive" / "presets"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# mine\ndescription: 'My [own] choice'\nmarkets: [spot]\n", "utf-8")
    (own / "other.json").write_text('{\n  "description": "As JSON",\n  "markets": ["spot"]}', "utf-8")
    (own / "odd.yaml").write_bytes(b"\xff\xfe")
    found = dict(suggestions("presets", "", {}))
    assert set(found) == {info.name for info in list_presets()}
    assert (found["mine"], found["other"], found["odd"]) == ("My (own) choice", "As JSON", "")
    described = next(info.description for info in list_presets() if info.name == "research")
    assert described.startswith(found["research"].removesuffix(" …"))
    assert all(len(meaning) <= 60 for meaning in found.values())
    assert words("presets", "re") == ["research", "resilient"]


def test_markets_types_and_intervals_are_those_of_the_matrix() -> None:
    assert words("markets") == [str(market) for market in Market]
    assert words("data_types") == list(MATRIX.data_types)
    assert set(words("intervals")) == set(MATRIX.intervals)


@pytest.mark.parametrize("market", Market)
def test_a_market_narrows_types(market: Market) -> None:
    assert words("data_types", markets=[market]) == [row.data_type for row in MATRIX.rows_of(market)]


def test_market_and_type_narrow_intervals() -> None:
    assert "1s" in words("intervals", markets=["spot"])
    assert "1s" not in words("intervals", markets=["futures_um"])
    assert words("intervals", data_types=["metrics"]) == []
    assert words("intervals", "1", data_types=["premiumIndex"], markets=["futures_um"]) == [
        interval
        for interval in words("intervals", data_types=["premiumIndexKlines"], markets=["futures_um"])
        if interval.startswith("1")
    ]


def test_another_matrix_has_other_words(here: Path) -> None:
    (here / "own.yaml").write_text("rows: [{market: spot, data_type: ticks, partitions: {daily: [7m]}}]", "utf-8")
    assert words("data_types", matrix_path=["own.yaml"]) == ["ticks"]
    assert words("intervals", matrix_path=["own.yaml"]) == ["7m"]
    (here / "broken.yaml").write_text("rows: [", "utf-8")
    for useless in ("broken.yaml", "nowhere.yaml", "."):
        assert words("data_types", matrix_path=[useless]) == list(MATRIX.data_types)


def test_the_other_words() -> None:
    assert words("partition") == ["daily", "monthly", "auto"]
    assert words("discover", "l") == ["listing"]
    assert words("contract") == ["perpetual", "delivery"]
    assert "USDT" in words("quote_assets", "US")
    assert words("description") == []


def listed(key: str) -> Listed:
    return Listed(key, 1, "", datetime(2025, 7, 15, tzinfo=UTC))


@pytest.fixture
def listings(here: Path) -> Path:
    """A root with what was listed: a series, the folders of a type, all that is in another."""
    path = Root(here / "output").listings_path
    store = ListingStore(path, "endpoint/bucket")
    now = datetime.now(UTC).timestamp()
    series = store.begin(f"{KLINES}DOGEUSDT/1d/DOGEUSDT-1d-2025-0", now)
    folders = store.begin(FOLDERS + KLINES, now)
    for name in ("PEPEUSDT", "币安人生USDT"):
        folders.add(listed(FOLDERS + KLINES + name))
    whole = store.begin(FUNDING, now)
    for number in range(600):
        symbol = f"COIN{number // 100}USDT"
        whole.add(listed(f"{FUNDING}{symbol}/{symbol}-fundingRate-2025-01.zip"))
    store.finish([series, folders, whole])
    store.begin(f"{KLINES}HALFUSDT/1d/HALFUSDT-1d-2025-0", now)
    store.close()
    return path


def test_symbols_are_the_default_ones_and_those_that_were_listed(listings: Path) -> None:
    spot = {*MATRIX.symbols[Market.SPOT], "DOGEUSDT", "PEPEUSDT", "币安人生USDT"}
    assert set(words("symbols", markets=["spot"])) == spot
    assert words("symbols", "PE") == ["PEPEUSDT"]
    assert words("symbols", "!PE") == ["!PEPEUSDT"]
    assert words("symbols", "COIN", data_types=["fundingRate"]) == [f"COIN{number}USDT" for number in range(6)]
    assert words("symbols", "COIN", data_types=["klines"]) == []
    assert words("symbols", "DOGE", output_directory=["elsewhere"]) == []
    before = {path.name: path.read_bytes() for path in listings.parent.iterdir()}
    words("symbols")
    assert {path.name: path.read_bytes() for path in listings.parent.iterdir()} == before


def test_a_listing_under_way_does_not_keep_one_waiting(listings: Path) -> None:
    store = ListingStore(listings, "endpoint/bucket")
    store.finish([store.begin(f"{KLINES}NEWUSDT/1d/NEWUSDT-1d-2025-0", datetime.now(UTC).timestamp())])
    assert cached_symbols(listings, [KLINES]) == {"DOGEUSDT", "PEPEUSDT", "币安人生USDT", "NEWUSDT"}
    store.close()


def test_the_root_of_the_environment_counts(listings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listings.parents[1].rename(listings.parents[1].with_name("data-root"))
    assert words("symbols", "DOGE") == []
    monkeypatch.setenv("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY", "data-root")
    assert words("symbols", "DOGE") == ["DOGEUSDT"]


def test_what_is_damaged_costs_only_what_it_had(listings: Path) -> None:
    listings.write_bytes(b"no database at all" * 100)
    assert words("symbols", "BTC", markets=["spot"]) == ["BTCUSDT"]
    assert listings.read_bytes() == b"no database at all" * 100


def test_nothing_heavy_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(crypto_archive.__file__).parents[1]))
    program = (
        "from crypto_archive.jobs.suggestions import suggestions; import sys; "
        "suggestions('symbols', '', {}); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "crypto_archive.jobs.suggestions" in loaded
    assert not loaded & {"pydantic", "pydantic_settings", "rich", "crypto_archive.config.fields"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_matrix_that_never_answers_is_ignored(here: Path) -> None:
    os.mkfifo(here / "m.yaml")
    assert words("markets", matrix_path=["m.yaml"]) == [str(market) for market in Market]
