"""What a person is told of a wrong configuration: each problem with its place, and all of them at once."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crypto_archive.config.fields import PRESET_FIELDS
from crypto_archive.config.run_config import RunConfig
from crypto_archive.errors import ConfigError, ExitCode
from tests.unit.asking import load_run_config

if TYPE_CHECKING:
    from collections.abc import Mapping

TODAY = date(2025, 7, 16)
MARKETS = "(allowed: spot, futures_um, futures_cm, options)"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*presets: str, **options: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_run_config(presets, options, today=TODAY)
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value


def told(text: str) -> str:
    """Return what is said of a preset called my.yaml."""
    Path("my.yaml").write_text(text, encoding="utf-8")
    return str(refused("my.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "markets: [spot, invalid_market]",
            f"my.yaml, line 1, markets[1]: 'invalid_market' is not a valid market type {MARKETS}",
        ),
        (
            "markets: [future_um]",
            "my.yaml, line 1, markets[0]: 'future_um' is not a valid market type; did you mean 'futures_um'? "
            + MARKETS,
        ),
        (
            "symbols:\n  sport: [BTCUSDT]",
            f"my.yaml, line 2, symbols.sport: 'sport' is not a valid market type; did you mean 'spot'? {MARKETS}",
        ),
        (
            "workflow_type: ingestion",
            "my.yaml, line 1, workflow_type: 'ingestion' is not a valid workflow type (allowed: archive_collection)",
        ),
        (
            "partition: dayly",
            (
                "my.yaml, line 1, partition: 'dayly' is not a valid partition; did you mean 'daily'? "
                "(allowed: daily, monthly, auto)"
            ),
        ),
        (
            "contract: perp",
            (
                "my.yaml, line 1, contract: 'perp' is not a valid kind of contract; did you mean 'perpetual'? "
                "(allowed: perpetual, delivery)"
            ),
        ),
        ("settled: never", "my.yaml, line 1, settled: 'never' is neither true nor false"),
        ("quote_assets: {USDT}", "my.yaml, line 1, quote_assets: {'USDT': None} is not a list"),
        (
            "quote_assets: ['*USD']",
            "my.yaml, line 1, quote_assets[0]: '*USD' is not a valid quote asset; write each separately, such as USDT",
        ),
        (
            "discover: list",
            (
                "my.yaml, line 1, discover: 'list' is not a valid way to discover objects; did you mean 'listing'? "
                "(allowed: listing, calendar)"
            ),
        ),
        (
            "max_bytes: 50G",
            (
                "my.yaml, line 1, max_bytes: '50G' is not a size; write it like 50GB, 1.5TiB or 5000000: a number of "
                "bytes, or one with a unit (B, kB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB)"
            ),
        ),
        ("max_bytes: 0 GB", "my.yaml, line 1, max_bytes: '0 GB' is too small; the minimum is 1"),
        ("max_objects: 0", "my.yaml, line 1, max_objects: 0 is too small; the minimum is 1"),
        ("max_objects: many", "my.yaml, line 1, max_objects: 'many' is not a whole number"),
        (
            "symbols: [1000]",
            'my.yaml, line 1, symbols[0]: 1000 is a number, not text; put it in quotes: "1000"',
        ),
        (
            "symbols: {spot: [true]}",
            'my.yaml, line 1, symbols.spot[0]: true is a boolean, not text; put it in quotes: "true"',
        ),
        (
            "symbols: [A/B]",
            (
                "my.yaml, line 1, symbols[0]: 'A/B' is not a valid symbol; "
                "write a name like BTCUSDT, or a glob like '*USDT'"
            ),
        ),
        (
            "symbols: ['!']",
            "my.yaml, line 1, symbols[0]: '!' is not a valid symbol; write a name like BTCUSDT, or a glob like '*USDT'",
        ),
        ("symbols: [[A]]", "my.yaml, line 1, symbols[0]: ['A'] is not text"),
        ("markets: [~]", "my.yaml, line 1, markets[0]: must not be empty; write a name, or remove the entry"),
        ("markets: 5", "my.yaml, line 1, markets: 5 is not a list; write [5]"),
        (
            "batch_size: 5\nmarkets: spot, spott",
            (
                "my.yaml, line 2, markets: 'spott' is not a valid market type; did you mean 'spot'? "
                "(allowed: spot, futures_um, futures_cm, options)"
            ),
        ),
        (
            "quote_assets:\n- USDT,USDC\n- '*USD'",
            "my.yaml, line 3, quote_assets[1]: '*USD' is not a valid quote asset; write each separately, such as USDT",
        ),
        ("markets: []", "my.yaml, line 1, markets: must not be empty; list at least one"),
        (
            "intervals:\n  klines:",
            "my.yaml, line 2, intervals.klines: must not be empty; write a list, or remove the field",
        ),
        (
            "date_range: 7d",
            ("my.yaml, line 1, date_range: '7d' is not a mapping; write it like {start: 2025-06-01, end: 2025-07-15}"),
        ),
        (
            "date_range: {start: 2025-02-30}",
            (
                "my.yaml, line 1, date_range.start: '2025-02-30' is not a day; "
                "write YYYY-MM-DD, such as 2025-07-15, or 2025-07, 2025, today or yesterday"
            ),
        ),
        (
            "date_range: {end: 7.5}",
            'my.yaml, line 1, date_range.end: 7.5 is a number, not text; put it in quotes: "7.5"',
        ),
        (
            "date_range: {last: 7}",
            'my.yaml, line 1, date_range.last: 7 is a number, not text; put it in quotes: "7"',
        ),
        (
            "date_range: {last: a week}",
            "my.yaml, line 1, date_range.last: 'a week' is not a span of time; write it like 30d, 2w, 1mo or 1y",
        ),
        (
            "date_range:\n  ends: 2025-01-01",
            "my.yaml, line 2, date_range.ends: unknown field 'ends'; did you mean 'end'? (allowed: start, end, last)",
        ),
        (
            "date_range: {last: 7d, start: 2025-01-01}",
            "my.yaml, line 1, date_range: 'last' and 'start' contradict each other; give 'start' and 'end', or 'last'",
        ),
        (
            "date_range: {start: 2025-02-01, end: 2025-01-01}",
            "my.yaml, line 1, date_range: the start 2025-02-01 is after the end 2025-01-01",
        ),
        ("batch_size: 101", "my.yaml, line 1, batch_size: 101 is too large; the maximum is 100"),
        ("batch_size: 0", "my.yaml, line 1, batch_size: 0 is too small; the minimum is 1"),
        ("batch_size: '20'", "my.yaml, line 1, batch_size: '20' is not a whole number"),
        ("batch_size: 2.5", "my.yaml, line 1, batch_size: 2.5 is not a whole number"),
        ("batch_size: true", "my.yaml, line 1, batch_size: true is not a whole number"),
        (
            "max_parallel_downloads: 65",
            "my.yaml, line 1, max_parallel_downloads: 65 is too large; the maximum is 64",
        ),
        ("timeout_seconds: 0", "my.yaml, line 1, timeout_seconds: 0 is too small; it must be more than 0"),
        ("timeout_seconds: .inf", "my.yaml, line 1, timeout_seconds: inf is not a number"),
        ("timeout_seconds: 15m", "my.yaml, line 1, timeout_seconds: '15m' is not a number"),
        ("timeout_seconds: 604801", "my.yaml, line 1, timeout_seconds: 604801 is too large; the maximum is 604800"),
        ("part_size_mb: 0", "my.yaml, line 1, part_size_mb: 0 is too small; the minimum is 1"),
        ("enable_resume: maybe", "my.yaml, line 1, enable_resume: 'maybe' is neither true nor false"),
        ("output_directory: ''", "my.yaml, line 1, output_directory: '' is not a valid path"),
        (
            "output_directory: 5",
            'my.yaml, line 1, output_directory: 5 is a number, not text; put it in quotes: "5"',
        ),
        (
            "endpoint_url: http://x",
            ("my.yaml, line 1, endpoint_url: cannot be set in a preset; set the variable CRYPTO_ARCHIVE_ENDPOINT_URL"),
        ),
        (
            "s5cmd_extra_args: [--retry-cuont=5]",
            (
                "my.yaml, line 1, s5cmd_extra_args[0]: unknown option '--retry-cuont' of s5cmd; "
                "did you mean '--retry-count'? (allowed: --credentials-file, --no-sign-request, --no-verify-ssl, "
                "--numworkers, --profile, --request-payer, --retry-count, --use-list-objects-v1)"
            ),
        ),
        (
            "s5cmd_extra_args: [--json]",
            (
                "my.yaml, line 1, s5cmd_extra_args[0]: --json cannot be set here; "
                "crypto-archive sets it itself, to follow s5cmd's progress"
            ),
        ),
        (
            "matrix_path: gone.json",
            "my.yaml, line 1, matrix_path: Archive matrix file not found: gone.json",
        ),
        ("matrix_path: ~nobody-at-all/m.yaml", None),
    ],
)
def test_each_mistake_in_a_preset_has_one_clear_line(text: str, message: str | None) -> None:
    found = told(text)
    if message is not None:
        assert found == message
    assert found.count("\n") == 0


def test_an_unknown_field_names_the_nearest_and_all() -> None:
    allowed = ", ".join(PRESET_FIELDS)
    assert told("marktes: [spot]") == (
        f"my.yaml, line 1, marktes: unknown field 'marktes'; did you mean 'markets'? (allowed: {allowed})"
    )
    assert told("1: x") == f"my.yaml, line 1, [1]: unknown field '1' (allowed: {allowed})"


def test_a_word_in_a_text_is_found_at_the_line_of_the_text() -> None:
    assert told("data_types: ','").startswith("my.yaml, line 1, data_types: unknown data type ','")
    found = told("intervals:\n  klines: 1h,1hh")
    assert found.startswith("my.yaml, line 2, intervals.klines: unknown interval '1hh' for klines; did you mean '1h'?")


def test_an_unknown_interval_names_those_of_the_type() -> None:
    found = told("intervals:\n  klines:\n  - 1m\n  - 1hh\n")
    assert found.startswith(
        "my.yaml, line 4, intervals.klines[1]: unknown interval '1hh' for klines; did you mean '1h'? (allowed: 1s, 1m"
    )
    assert found.endswith("3d, 1w, 1mo)")
    assert str(refused(intervals=["1H"])).startswith(
        "--interval: unknown interval '1H'; did you mean '1h'? (allowed: 1s"
    )


def test_an_unknown_data_type_names_the_nearest() -> None:
    found = told("data_types: [kline]\nintervals: {ohlcv: [1h]}\n").splitlines()
    assert found[0].startswith(
        "my.yaml, line 1, data_types[0]: unknown data type 'kline'; did you mean 'klines'? (allowed: klines, "
    )
    assert found[1].startswith("my.yaml, line 2, intervals.ohlcv: unknown data type 'ohlcv' (allowed: klines, ")
    assert "did you mean 'premiumIndex'?" in told("data_types: [premiunIndex]")


def test_words_of_types_without_interval_folders_are_taken_as_they_come() -> None:
    Path("my.yaml").write_text("intervals: {bookDepth: [1000ms, 1s], BVOLIndex: [1h, 7x], klines: [1s]}", "utf-8")
    intervals = load_run_config(["my.yaml"], {}, today=TODAY).request.selection.intervals
    assert intervals == {"bookDepth": ("1000ms", "1s"), "BVOLIndex": ("1h", "7x"), "klines": ("1s",)}


def test_data_types_that_no_wanted_market_has_are_taken() -> None:
    request = load_run_config([], {"markets": ["spot"], "data_types": ["BVOLIndex"]}, today=TODAY).request
    assert request.selection.data_types == ("BVOLIndex",)


def test_all_problems_are_reported_together_file_by_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.yaml").write_text("markets: [spto]\nbatch_size: 500\nintervals:\n  klines: [1hh, 5]\n", "utf-8")
    Path("b.json").write_text('{\n"data_types": ["kline"],\n"foo": 1\n}', "utf-8")
    Path("c.yaml").write_text("a: [", "utf-8")
    monkeypatch.setenv("CRYPTO_ARCHIVE_TIMEOUT_SECONDS", "soon")
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENDPOINT_URL", "data.binance.vision")
    error = refused("c.yaml", "a.yaml", "b.json", "reserch", markets=["sport"], start="1.1.2025")
    assert [problem.place for problem in error.problems] == [
        "--preset",
        "c.yaml, line 1",
        "a.yaml, line 1, markets[0]",
        "a.yaml, line 2, batch_size",
        "a.yaml, line 4, intervals.klines[1]",
        "a.yaml, line 4, intervals.klines[0]",
        "b.json, line 2, data_types[0]",
        "b.json, line 3, foo",
        "CRYPTO_ARCHIVE_TIMEOUT_SECONDS",
        "CRYPTO_ARCHIVE_ENDPOINT_URL",
        "--start",
        "--market",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"markets": ["sport"]}, f"--market: 'sport' is not a valid market type; did you mean 'spot'? {MARKETS}"),
        ({"max_parallel_downloads": 0}, "--jobs: 0 is too small; the minimum is 1"),
        ({"stall_seconds": -1.0}, "--stall-seconds: -1.0 is too small; it must be more than 0"),
        (
            {"last": "7"},
            "--last: '7' is not a span of time; write it like 30d, 2w, 1mo or 1y",
        ),
        (
            {"last": "7d", "start": "2025-07-01"},
            "--start, --last: 'last' and 'start' contradict each other; give 'start' and 'end', or 'last'",
        ),
        (
            {"start": "2025-07-02", "end": "2025-07-01"},
            "--start, --end: the start 2025-07-02 is after the end 2025-07-01",
        ),
        ({"matrix_path": "gone.yaml"}, "--matrix: Archive matrix file not found: gone.yaml"),
        ({"region": "Tokyo!"}, "--region: 'Tokyo!' is not a valid region; write it like ap-northeast-1"),
        (
            {"endpoint_url": "localhost:9000"},
            (
                "--endpoint-url: 'localhost:9000' is not a valid URL; "
                "write it like https://s3.ap-northeast-1.amazonaws.com or http://127.0.0.1:9000"
            ),
        ),
        (
            {"endpoint_url": "https://s3.ap-northeast-1.amazonaws.com/data.binance.vision"},
            (
                "--endpoint-url: 'https://s3.ap-northeast-1.amazonaws.com/data.binance.vision' must end with the host "
                "or port; set the bucket with CRYPTO_ARCHIVE_BUCKET"
            ),
        ),
        (
            {"endpoint_url": "https://me:s3cret@s3.ap-northeast-1.amazonaws.com"},
            (
                "--endpoint-url: an endpoint URL must not contain a user name or password, since messages and reports "
                "show it; for signed requests use AWS's own settings and s5cmd_extra_args: [--profile=NAME]"
            ),
        ),
        (
            {"via": "cloudfront"},
            "--via: 'cloudfront' is not a valid way to get objects (allowed: auto, s3, cdn)",
        ),
        (
            {"via": "cdn", "endpoint_url": "http://127.0.0.1:9000"},
            (
                "--via: no CDN is known for the bucket 'data.binance.vision' at http://127.0.0.1:9000; "
                "set CRYPTO_ARCHIVE_DOWNLOAD_URL, or get objects from S3"
            ),
        ),
        (
            {"via": "cdn", "s5cmd_extra_args": ["--profile=me"]},
            "--via: a CDN takes no credentials; remove them from s5cmd_extra_args, or use S3",
        ),
        (
            {"download_url": "cdn.example"},
            "--download-url: 'cdn.example' is not a valid URL; write it like https://data.binance.vision",
        ),
        (
            {"download_url": "https://cdn.example/a?b"},
            "--download-url: 'https://cdn.example/a?b' must end with a host, port or folder",
        ),
        (
            {"download_url": "https://me:s3cret@cdn.example"},
            "--download-url: a download URL must not contain a user name or password, since messages show it",
        ),
        (
            {"endpoint_url": "https://data.binance.vision"},
            (
                "--endpoint-url: 'https://data.binance.vision' is a web site, not an S3 endpoint; "
                "the archive's is https://s3.ap-northeast-1.amazonaws.com"
            ),
        ),
    ],
)
def test_mistakes_in_options_name_the_option(options: dict[str, object], message: str) -> None:
    assert str(refused(**options)) == message


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MAX_PARALLEL_DOWNLOADS", "lots", "'lots' is not a whole number"),
        ("MAX_PARALLEL_DOWNLOADS", "100", "100 is too large; the maximum is 64"),
        ("STALL_SECONDS", "nan", "'nan' is not a number"),
        ("PARTITION", "week", "'week' is not a valid partition (allowed: daily, monthly, auto)"),
        ("MATRIX_PATH", "gone.yaml", "Archive matrix file not found: gone.yaml"),
    ],
)
def test_mistakes_in_the_environment_name_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(f"CRYPTO_ARCHIVE_{variable}", value)
    assert str(refused()).replace("'100'", "100") == f"CRYPTO_ARCHIVE_{variable}: {message}"


def test_mistakes_in_dotenv_name_the_file(here: Path) -> None:
    (here / ".env").write_text("CRYPTO_ARCHIVE_DISCOVER=guess\n", "utf-8")
    assert str(refused()) == (
        ".env, CRYPTO_ARCHIVE_DISCOVER: 'guess' is not a valid way to discover objects (allowed: listing, calendar)"
    )
    (here / ".env").write_bytes(b"\xff\xfe")
    assert str(refused()).startswith(".env: cannot be read: ")
    (here / ".env").write_bytes(b" " * 1_000_001)
    assert str(refused()) == ".env: cannot be read: it is larger than 1,000,000 bytes"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_dotenv_is_a_file(here: Path) -> None:
    (here / ".env").mkdir()  # as some call their virtual environment
    assert load_run_config([], {"markets": ["spot"]}, today=TODAY)
    (here / ".env").rmdir()
    os.mkfifo(here / ".env")
    assert str(refused()) == ".env: cannot be read: it is not a regular file"


def test_a_number_that_python_does_not_write_out_is_named_all_the_same() -> None:
    assert str(refused(batch_size=10**5000)) == "--batch-size: a huge number is too large; the maximum is 100"


def test_the_matrix_that_is_not_there_comes_with_what_to_do() -> None:
    assert "leave out --matrix" in refused(matrix_path="gone.yaml").hint


def test_every_mistake_in_the_matrix_file_is_reported_with_the_others() -> None:
    Path("matrix.yaml").write_text("name: mine\nrows: []\n", "utf-8")
    error = refused(matrix_path="matrix.yaml", batch_size=0)
    assert error.problems[-1].place == "--batch-size"
    assert all(problem.place.startswith("matrix.yaml") for problem in error.problems[:-1])


WORDS = st.one_of(
    st.text(max_size=8), st.sampled_from(["spot", "klines", "1h", "*", "start", "end", "last", "7d", "2025-07-15", "~"])
)
VALUES = st.recursive(
    st.one_of(
        WORDS,
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.binary(max_size=3),
        st.dates(),
        st.datetimes(),
        st.just(Path("x")),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.sets(WORDS, max_size=2),
        st.dictionaries(st.one_of(WORDS, st.integers(), st.none()), inner, max_size=3),
    ),
    max_leaves=8,
)
FIELDS = st.one_of(st.sampled_from([*PRESET_FIELDS, "start", "end", "last", "endpoint_url", "bucket"]), WORDS)


def outcome(options: Mapping[str, object]) -> RunConfig | ConfigError:
    try:
        return load_run_config([], options, today=TODAY)
    except ConfigError as error:
        return error


def test_a_span_of_bytes_is_a_problem_as_well() -> None:
    result = outcome({"last": b""})
    assert isinstance(result, ConfigError)
    assert [problem.place for problem in result.problems] == ["--last"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(FIELDS, VALUES, max_size=5))
def test_whatever_the_options_are_nothing_but_config_errors_come_out(options: dict[str, object]) -> None:
    result = outcome(options)
    assert isinstance(result, RunConfig) or all(problem.message for problem in result.problems)
