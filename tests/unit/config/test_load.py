"""From presets, environment and options to one request: defaults, precedence, overlays, dates, origins, notices."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from crypto_archive.cli.options import flag_of
from crypto_archive.config.fields import OPTION_WORDS
from crypto_archive.config.presets import list_presets
from crypto_archive.config.run_config import (
    Access,
    Budget,
    Discovery,
    Fetching,
    Request,
    RunConfig,
    Selection,
    SymbolFilter,
    Via,
)
from crypto_archive.config.values import A_PLACE_OF_THIS_MACHINE
from crypto_archive.errors import ConfigError
from crypto_archive.model import Contract, DateRange, Market, Partition
from tests.unit.asking import load_run_config

if TYPE_CHECKING:
    from collections.abc import Callable

TODAY = date(2025, 7, 16)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(*presets: str, **options: object) -> RunConfig:
    return load_run_config(presets, options, today=TODAY)


def preset(text: str, name: str = "my.yaml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def notices(configured: RunConfig) -> list[str]:
    return [notice.text for notice in configured.notices]


def test_without_anything_all_defaults_count_and_a_notice_says_so() -> None:
    configured = load()
    assert configured.request == Request(Selection(tuple(Market)), root=Path("output"))
    assert configured.origins == {}
    assert notices(configured) == [
        (
            "no market, symbol, data type, interval or date is selected: "
            "this means all markets with their default symbols, all data types and all dates"
        )
    ]


def test_a_selection_may_come_from_options_alone() -> None:
    selection = load(
        markets=["spot"], symbols=["*USDT", "!*DOWNUSDT"], data_types=["klines"], intervals=["1h"]
    ).request.selection
    assert selection == Selection(
        markets=(Market.SPOT,),
        data_types=("klines",),
        symbols={Market.SPOT: ("*USDT", "!*DOWNUSDT")},
        intervals={"*": ("1h",)},
    )


def test_every_field_of_a_preset_reaches_the_request() -> None:
    name = preset(
        """
        description: all fields
        workflow_type: archive_collection
        matrix_path: enhanced_binance_archive_matrix.json
        output_directory: ~/archive
        markets: [options, spot, options]
        symbols: {spot: [BTCUSDT, BTCUSDT, 币安人生USDT], "*": [BTC]}
        quote_assets: [USDT, FDUSD, USDT]
        contract: perpetual
        settled: false
        data_types: [premiumIndex, klines, premiumIndexKlines, bookDepth]
        intervals: {klines: [1M, 1h, 1mo], premiumIndex: [1d], premiumIndexKlines: [1h], bookDepth: [1000ms]}
        date_range: {start: 2025-06-01, end: yesterday}
        partition: monthly
        discover: calendar
        max_objects: 1000
        max_bytes: 1.5 TiB
        batch_size: 50
        max_parallel_downloads: 3
        enable_batch_mode: true
        enable_resume: false
        force_redownload: yes
        download_checksum: false
        timeout_seconds: 900
        part_size_mb: 10
        s5cmd_extra_args: [-r, "5"]
        """
    )
    assert load(name).request == Request(
        selection=Selection(
            markets=(Market.OPTIONS, Market.SPOT),
            data_types=("premiumIndexKlines", "klines", "bookDepth"),
            symbols={Market.OPTIONS: ("BTC",), Market.SPOT: ("BTCUSDT", "币安人生USDT")},
            intervals={"klines": ("1mo", "1h"), "premiumIndexKlines": ("1d", "1h"), "bookDepth": ("1000ms",)},
            dates=DateRange(date(2025, 6, 1), date(2025, 7, 15)),
            partition=Partition.MONTHLY,
            filters=SymbolFilter(("USDT", "FDUSD"), Contract.PERPETUAL, settled=False),
        ),
        root=Path.home() / "archive",
        discovery=Discovery.CALENDAR,
        access=Access(extra_args=("--retry-count=5",)),
        fetching=Fetching(
            jobs=3,
            batch_size=50,
            download_checksum=False,
            resume=False,
            force=True,
            timeout_seconds=900.0,
            part_size_mb=10,
        ),
        budget=Budget(max_objects=1000, max_bytes=3 << 39),
    )


def test_options_beyond_presets_reach_the_request() -> None:
    request = load(
        endpoint_url="http://127.0.0.1:9000/",
        region="eu-west-1",
        bucket="mirror",
        s5cmd=Path("/opt/s5cmd"),
        stall_seconds=5,
        output_directory=Path("there"),
        partition=Partition.MONTHLY,
        discover=Discovery.CALENDAR,
    ).request
    assert request.access == Access("http://127.0.0.1:9000", "eu-west-1", "mirror", Path("/opt/s5cmd"))
    assert request.fetching.stall_seconds == 5
    assert (request.root, request.selection.partition, request.discovery) == (Path("there"), "monthly", "calendar")


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://data.binance.vision"),
        ({"endpoint_url": "http://127.0.0.1:9000"}, None),
        ({"bucket": "mirror"}, None),
        ({"bucket": "mirror", "download_url": "https://cdn.example"}, "https://cdn.example"),
    ],
)
def test_the_cdn_is_that_of_the_archive_unless_another_is_named(options: dict[str, object], url: str | None) -> None:
    assert load(**options).request.access.cdn_url == url


def test_a_lock_file_of_another_bucket_has_no_cdn() -> None:
    configured = load(via="cdn")
    with pytest.raises(ConfigError, match="via: no CDN is known for the bucket 'mirror'"):
        configured.locked_by(Path("a.lock"), "mirror")


def test_batch_mode_off_means_one_command_a_batch_whatever_the_batch_size() -> None:
    name = preset("enable_batch_mode: false\nbatch_size: 20\n")
    assert load(name).request.fetching.batch_size == 1
    assert load(name, enable_batch_mode=True).request.fetching.batch_size == 20


def test_options_that_are_none_or_empty_were_not_given() -> None:
    name = preset("markets: [spot]\nbatch_size: 7\n")
    assert load(name, markets=[], symbols=(), batch_size=None, start=None) == load(name)


def test_null_in_a_preset_is_the_same_as_leaving_the_field_out() -> None:
    assert load(preset("markets: [spot]\nsymbols:\ndate_range: {start: null}\n")).request.selection == Selection(
        (Market.SPOT,)
    )


def test_option_before_environment_before_dotenv_before_preset_before_default(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def jobs(**options: object) -> tuple[int, str | None]:
        configured = load(*presets, **options)
        return configured.request.fetching.jobs, configured.origins.get("max_parallel_downloads")

    presets: list[str] = []
    assert jobs() == (None, None)
    presets.append(preset("\nmax_parallel_downloads: 2\n"))
    assert jobs() == (2, "my.yaml, line 2, max_parallel_downloads")
    (here / ".env").write_text("CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS=3\nOTHER=x\n", encoding="utf-8")
    assert jobs() == (3, ".env, CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS")
    monkeypatch.setenv("CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS", "4")
    assert jobs() == (4, "CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS")
    assert jobs(max_parallel_downloads=5) == (5, "--jobs")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("ENDPOINT_URL", "http://localhost:1", "http://localhost:1"),
        ("REGION", "eu-west-1", "eu-west-1"),
        ("BUCKET", "mirror", "mirror"),
        ("S5CMD", "~/s5cmd", "HOME/s5cmd"),
        ("OUTPUT_DIRECTORY", "there", "there"),
        ("TIMEOUT_SECONDS", "9.5", 9.5),
        ("STALL_SECONDS", "7", 7.0),
        ("PARTITION", "monthly", Partition.MONTHLY),
        ("DISCOVER", "calendar", Discovery.CALENDAR),
        ("VIA", "s3", Via.S3),
        ("DOWNLOAD_URL", "https://cdn.example/archive/", "https://cdn.example/archive"),
    ],
)
def test_each_variable_reaches_the_request(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: object
) -> None:
    monkeypatch.setenv(f"CRYPTO_ARCHIVE_{variable}", value)
    request = load().request
    reached = {
        "ENDPOINT_URL": request.access.endpoint_url,
        "REGION": request.access.region,
        "BUCKET": request.access.bucket,
        "S5CMD": str(request.access.s5cmd).replace(str(Path.home()), "HOME"),
        "OUTPUT_DIRECTORY": str(request.root),
        "TIMEOUT_SECONDS": request.fetching.timeout_seconds,
        "STALL_SECONDS": request.fetching.stall_seconds,
        "PARTITION": request.selection.partition,
        "DISCOVER": request.discovery,
        "VIA": request.access.via,
        "DOWNLOAD_URL": request.access.download_url,
    }
    assert reached[variable] == expected


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENDPOINT_URL", "")
    assert load().request.access == Access()


def test_a_later_preset_covers_an_earlier_one_field_by_field() -> None:
    first = preset("markets: [spot]\nsymbols: {spot: [A], options: [B]}\nbatch_size: 5\n", "first.yaml")
    second = preset('{"symbols": {"options": ["C"]},\n"batch_size": 6}', "second.json")
    configured = load(first, second, markets=["spot", "options"])
    # The mapping is replaced as a whole: spot falls back to the default symbols.
    assert configured.request.selection.symbols == {Market.OPTIONS: ("C",)}
    assert configured.request.fetching.batch_size == 6
    assert load(second, first).request.fetching.batch_size == 5
    assert configured.presets == ("first.yaml", "second.json")
    assert configured.origins == {
        "markets": "--market",
        "symbols": "second.json, line 1, symbols",
        "batch_size": "second.json, line 2, batch_size",
    }


def test_symbols_of_markets_that_are_not_wanted_are_left_out() -> None:
    name = preset("markets: [spot, options]\nsymbols: {spot: [A], options: [B]}\n")
    assert load(name, markets=["options"]).request.selection.symbols == {Market.OPTIONS: ("B",)}
    assert load(name, symbols=["C"]).request.selection.symbols == {Market.SPOT: ("C",), Market.OPTIONS: ("C",)}


LISTED = Selection(
    markets=(Market.SPOT, Market.FUTURES_UM),
    data_types=("klines", "trades"),
    symbols=dict.fromkeys((Market.SPOT, Market.FUTURES_UM), ("BTCUSDT", "ETHUSDT")),
    intervals={"*": ("1h", "1d")},
    filters=SymbolFilter(("USDT", "USDC")),
)
WORDS = {"markets": "spot,um", "data_types": "klines,trades", "symbols": "BTCUSDT,ETHUSDT", "intervals": "1h,1d",
         "quote_assets": "USDT,USDC"}  # fmt: skip


@pytest.mark.parametrize("form", [
    lambda text: text.split(","), lambda text: text, lambda text: [text], lambda text: text.replace(",", ", ") + ",",
    lambda text: (text, text.split(",")[1]),
])  # fmt: skip
def test_lists_may_be_written_as_text(form: Callable[[str], object]) -> None:
    values = {name: form(text) for name, text in WORDS.items()}
    assert load(**values).request.selection == LISTED
    name = preset(yaml.safe_dump({name: list(one) if isinstance(one, tuple) else one for name, one in values.items()}))
    assert load(name).request.selection == LISTED


def test_several_presets_in_one_text(here: Path) -> None:
    name = preset("markets: [spot]\n", "a,b.yaml")
    configured = load("backtest,low-memory", name)
    assert configured.presets == ("backtest", "low-memory", "a,b.yaml")
    assert configured.request == load("backtest", "low-memory", name).request
    with pytest.raises(ConfigError, match="unknown preset 'low-memry'; did you mean 'low-memory'"):
        load("backtest,low-memry")


def test_text_with_commas_in_groups_and_lists_of_symbols(here: Path) -> None:
    (here / "a,b.txt").write_text("XRPUSDT", "utf-8")
    configured = load(symbols={"spot": "@a,b.txt", "um": ["BTCUSDT,ETHUSDT", "@a,b.txt"]},
                      intervals={"klines": "1h, 1d"})  # fmt: skip
    symbols = configured.request.selection.symbols
    assert symbols == {Market.SPOT: ("XRPUSDT",), Market.FUTURES_UM: ("BTCUSDT", "ETHUSDT", "XRPUSDT")}
    assert configured.request.selection.intervals == {"klines": ("1h", "1d")}


@pytest.mark.parametrize(
    ("options", "start", "end", "origin"),
    [
        ({}, date(2025, 7, 9), date(2025, 7, 15), "my.yaml, line 1, date_range"),
        ({"last": "2d"}, date(2025, 7, 14), date(2025, 7, 15), "--last"),
        ({"start": "2025-07-01"}, date(2025, 7, 1), None, "--start"),
        ({"date_range": {"start": "2025-07-01"}, "end": "2025-07-02"}, date(2025, 7, 1), date(2025, 7, 2), "--end"),
        ({"end": date(2025, 7, 7)}, date(2025, 7, 1), date(2025, 7, 7), "--end"),
        ({"start": "2025-07-01", "end": "yesterday"}, date(2025, 7, 1), date(2025, 7, 15), "--start, --end"),
        ({"start": 2024, "end": "2025-02"}, date(2024, 1, 1), date(2025, 2, 28), "--start, --end"),
        ({"last": "1mo"}, date(2025, 6, 16), date(2025, 7, 15), "--last"),
    ],
)
def test_dates_of_options_change_those_of_a_preset(
    options: dict[str, object], start: date, end: date | None, origin: str
) -> None:
    configured = load(preset("date_range: {last: 7d}\n"), **options)
    assert configured.request.selection.dates == DateRange(start, end)
    assert configured.origins["date_range"] == origin


def test_dates_of_a_later_preset_replace_the_earlier_ones_whole() -> None:
    first = preset("date_range: {start: 2025-01-01, end: 2025-02-01}\n", "first.yaml")
    second = preset("date_range: {start: 2025-01-15}\n", "second.yaml")
    assert load(first, second).request.selection.dates == DateRange(date(2025, 1, 15), None)


def test_the_matrix_named_by_a_preset_is_looked_for_here_and_next_to_the_preset(here: Path) -> None:
    (here / "folder").mkdir()
    rows = """
      - market: spot
        data_type: klines
        key_pattern: data/{partition}/{symbol}/{interval}/{date}.zip
        partitions: {daily: [1h]}
        first_date: 2020-01-01
    """
    text = f"name: mine\nversion: '1'\nrows:{rows}"
    (here / "folder" / "own.yaml").write_text(text, encoding="utf-8")
    name = preset("matrix_path: own.yaml\n", "folder/my.yaml")
    assert load(name).matrix.name == "mine"
    assert load(name).request.selection.markets == (Market.SPOT,)
    (here / "own.yaml").write_text(text.replace("mine", "nearer"), encoding="utf-8")
    assert load(name).matrix.name == "nearer"


def test_the_matrix_may_come_from_option_and_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_MATRIX_PATH", "gone.yaml")
    with pytest.raises(ConfigError, match=r"^CRYPTO_ARCHIVE_MATRIX_PATH: Archive matrix file not found: gone\.yaml$"):
        load()
    assert (
        load(matrix_path="enhanced_binance_archive_matrix.json").matrix
        == load_run_config([], {"matrix_path": Path("enhanced_binance_archive_matrix.json")}, today=TODAY).matrix
    )


@pytest.mark.parametrize(
    ("word", "market"),
    [
        *((word, Market.FUTURES_UM) for word in ("um", "UM", "usdm", "USD-M", "usd_m", "futures/um", "Futures_UM")),
        *((word, Market.FUTURES_CM) for word in ("cm", "coinm", "COIN-M", "coin_m", "futures/cm", "futures-cm")),
        ("option", Market.OPTIONS),
        ("SPOT", Market.SPOT),
    ],
)
def test_other_words_for_markets(here: Path, word: str, market: Market) -> None:
    assert load(markets=[word, str(market)]).request.selection.markets == (market,)
    (here / "my.yaml").write_text(f"markets: [{word}]\nsymbols: {{{word}: [BTCUSDT], '*': [ETHUSDT]}}\n", "utf-8")
    selection = load("my.yaml").request.selection
    assert (selection.markets, selection.symbols) == ((market,), {market: ("BTCUSDT",)})


def test_a_market_under_two_words_is_a_contradiction() -> None:
    with pytest.raises(ConfigError, match="'futures_um' is the same market as 'um'; keep one of them"):
        load(symbols={"um": ["BTCUSDT"], "futures_um": ["ETHUSDT"]})


def test_which_fields_a_bundled_preset_gives(here: Path) -> None:
    (here / "mine.yaml").write_text("symbols: [BTCUSDT]\n", "utf-8")
    assert load("backtest").bundled == {"description", "markets", "symbols", "data_types", "intervals", "date_range"}
    assert load("backtest", "mine.yaml", markets=["spot"], start="2025-06-02").bundled == {
        "description", "data_types", "intervals",
    }  # fmt: skip
    assert "symbols" in load("mine.yaml", "backtest").bundled


def test_a_quote_asset_that_looks_like_a_known_one_gets_a_notice() -> None:
    configured = load(markets=["spot"], quote_assets=["usdt", "USDT", "币"])
    assert notices(configured) == ["quote asset 'usdt' is not a known one; nearest are 'USDT', 'UST', 'USD'"]


def test_all_means_every_symbol() -> None:
    name = preset("symbols: {spot: [all, '!*UPUSDT'], options: [all]}")
    assert load(name).request.selection.symbols == {Market.SPOT: ("*", "!*UPUSDT"), Market.OPTIONS: ("*",)}


@pytest.mark.parametrize("options", [{"quote_assets": ["USDT"]}, {"contract": "delivery"}, {"settled": False}], ids=str)
def test_a_filter_is_a_selection(options: dict[str, object]) -> None:
    configured = load(**options)
    assert configured.selects
    assert notices(configured) == []


def test_a_preset_that_filters_is_not_an_overlay(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_PRESET_DIR", str(here))
    preset("settled: false\n")
    assert [info.overlay for info in list_presets() if info.name == "my"] == [False]


def test_options_replace_the_filters_of_a_preset_one_by_one() -> None:
    name = preset("quote_assets: [USDT]\nsettled: false\n")
    assert load(name, quote_assets=["USDC"]).request.selection.filters == SymbolFilter(("USDC",), settled=False)


def test_a_misspelt_variable_gets_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENPOINT_URL", "http://localhost:1")
    monkeypatch.setenv("CRYPTO_ARCHIVE_TEST_LIVE", "1")
    assert notices(load(markets=["spot"])) == [
        (
            "the environment variable CRYPTO_ARCHIVE_ENPOINT_URL is unknown and ignored; "
            "did you mean CRYPTO_ARCHIVE_ENDPOINT_URL?"
        )
    ]


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("OUTPUT", "; the variable for this option is CRYPTO_ARCHIVE_OUTPUT_DIRECTORY"),
        ("JOBS", "; the variable for this option is CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS"),
        ("SYMBOLS", "; symbols is set in a preset or by an option"),
        ("SOMETHING", ""),
    ],
)
def test_an_unknown_variable_gets_a_notice_with_what_there_is_instead(
    monkeypatch: pytest.MonkeyPatch, variable: str, advice: str
) -> None:
    monkeypatch.setenv(f"CRYPTO_ARCHIVE_{variable}", "1")
    expected = f"the environment variable CRYPTO_ARCHIVE_{variable} is unknown and ignored{advice}"
    assert notices(load(markets=["spot"])) == [expected]


def test_an_unknown_variable_in_a_dotenv_file_gets_one_too() -> None:
    Path(".env").write_text("CRYPTO_ARCHIVE_BUKET=mine\nOTHER=1\nCRYPTO_ARCHIVE_REGION=eu-west-1\n", encoding="utf-8")
    assert notices(load(markets=["spot"])) == [
        "the variable CRYPTO_ARCHIVE_BUKET in .env is unknown and ignored; did you mean CRYPTO_ARCHIVE_BUCKET?"
    ]


def test_the_words_for_options_are_those_of_the_command_line() -> None:
    flags = {word: f"--{word.lower()}" for word in OPTION_WORDS}
    assert {word: flag_of(field) for word, field in OPTION_WORDS.items()} | {"REFRESH": "--refresh"} == flags


# Destinations


@pytest.mark.parametrize("text", ["", "  ", "s3://bucket/x", "S3:/bucket", "file:///data", "gs://x", "https://host/x"])
def test_a_root_that_is_not_a_path_of_this_machine_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sources: list[Callable[[], object]] = [
        lambda: load(preset(f"markets: [spot]\noutput_directory: {text!r}\n")),
        lambda: load(markets=["spot"], output_directory=text),
    ]
    if text.strip():
        sources.append(lambda: load(markets=["spot"], output_directory=Path(text)))
    for source in sources:
        with pytest.raises(ConfigError) as caught:
            source()
        assert len(caught.value.problems) == 1
        assert caught.value.hint == A_PLACE_OF_THIS_MACHINE
    if text.strip():
        monkeypatch.setenv("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY", text)
        with pytest.raises(ConfigError, match=r"CRYPTO_ARCHIVE_OUTPUT_DIRECTORY: .* is a URL, not a path"):
            load(markets=["spot"])


@pytest.mark.parametrize("text", ["C:/data", "a:b", "data/x:/y", "./s3:/x"])
def test_other_colons_are_part_of_a_path(text: str) -> None:
    assert load(markets=["spot"], output_directory=text).request.root == Path(text)
