"""Reading matrix files: our own form, the older JSON form, and what is said of files that are wrong."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_archive import files as bundled
from crypto_archive.catalog.document import Document
from crypto_archive.catalog.matrix import Matrix, Status
from crypto_archive.catalog.matrix_file import SEED_FILE_NAME, load_matrix, matrix_document, parse_matrix
from crypto_archive.errors import ConfigError, ExitCode
from crypto_archive.model import Market, Partition

MATRIX = load_matrix()
MARKETS = "(allowed: spot, futures_um, futures_cm, options)"
NO_MARKET = "is not a valid market type"
LINE = re.compile(r", line [0-9]+")

# The 28 entries of the older form: market, its path, data types that it lists with the intervals that it gives them.
ALL_INTERVALS = ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]
DEPTH_INTERVALS = ["1000ms", "1s", "5s", "10s", "30s", "1m"]
OLD_FUTURES = {
    "klines": ALL_INTERVALS,
    "trades": [None],
    "aggTrades": [None],
    "fundingRate": [None],
    "premiumIndex": [None],
    "indexPriceKlines": ALL_INTERVALS,
    "markPriceKlines": ALL_INTERVALS,
    "bookDepth": DEPTH_INTERVALS,
    "bookTicker": [None],
    "liquidationSnapshot": [None],
}
OLD_MARKETS: dict[str, tuple[str, dict[str, list[Any]]]] = {
    "spot": (
        "spot",
        {
            "klines": ALL_INTERVALS,
            "trades": [None],
            "aggTrades": [None],
            "bookDepth": DEPTH_INTERVALS,
            "bookTicker": [None],
        },
    ),
    "futures_um": ("futures/um", {**OLD_FUTURES, "metrics": [None]}),
    "futures_cm": ("futures/cm", OLD_FUTURES),
    "options": ("option", {"BVOLIndex": ["1m", "5m", "1h", "1d"], "EOHSummary": [None]}),
}


def old_entry(market: str, path: str, data_type: str, intervals: list[Any]) -> dict[str, Any]:
    has_intervals = intervals != [None]
    folder = "{symbol}/{interval}" if has_intervals else "{symbol}"
    return {
        "market": market,
        "data_type": data_type,
        "intervals": intervals,
        "partitions": ["daily"],
        "available_from": "2021-01-01",
        "notes": f"{data_type} of {market}",
        "url_pattern": f"s3://data.binance.vision/data/{path}/{{partition}}/{data_type}/{folder}/{{filename}}",
        "filename_pattern": "{symbol}-{interval}-{date}.zip"
        if has_intervals
        else f"{{symbol}}-{data_type}-{{date}}.zip",
    }


def old_document() -> dict[str, Any]:
    return {
        "description": "What the archive has",
        "last_updated": "2025-07-19",
        "supported_markets": list(OLD_MARKETS),
        "availability_matrix": [
            old_entry(market, path, data_type, intervals)
            for market, (path, data_types) in OLD_MARKETS.items()
            for data_type, intervals in data_types.items()
        ],
        "symbols": {"spot": ["BTCUSDT", "ETHUSDT"], "futures_cm": ["BTCUSD_PERP"]},
        "file_format": {"compression": "zip"},
        "enhanced_features": ["checksums"],
    }


def written(folder: Path, name: str, document: object) -> Path:
    path = folder / name
    text = json.dumps(document) if name.endswith(".json") else yaml.safe_dump(document, allow_unicode=True)
    path.write_text(text, encoding="utf-8")
    return path


def complaints(document: object, folder: Path, name: str = "m.yaml") -> list[str]:
    path = written(folder, name, document)
    with pytest.raises(ConfigError) as caught:
        load_matrix(path)
    assert caught.value.exit_code is ExitCode.USAGE
    assert caught.value.hint
    return [LINE.sub("", line.replace(str(path), name)) for line in caught.value.message.splitlines()]


def parsed(document: dict[str, Any]) -> Matrix:
    return parse_matrix(Document("here", Path("here"), document))


def document_of(**changes: Any) -> dict[str, Any]:
    """A small right matrix of our own form, the one row changed; a change to None takes the field out."""
    row: dict[str, Any] = {
        "market": "spot",
        "data_type": "klines",
        "key_pattern": "data/spot/{partition}/klines/{symbol}/{interval}/{symbol}-{interval}-{date}.zip",
        "partitions": {"daily": ["1h"]},
        "first_date": "2017-08-17",
    } | changes
    return {"name": "x", "version": "1", "rows": [{k: value for k, value in row.items() if value is not None}]}


@pytest.mark.parametrize("name", ["m.yaml", "m.json"])
def test_a_matrix_that_is_written_is_read_back_the_same(name: str, tmp_path: Path) -> None:
    document = matrix_document(MATRIX)

    assert parsed(document) == MATRIX
    assert load_matrix(written(tmp_path, name, document)) == MATRIX
    assert load_matrix(str(tmp_path / name)) == MATRIX


def test_a_part_of_the_rows_can_be_written() -> None:
    document = matrix_document(MATRIX, MATRIX.rows_of(Market.OPTIONS))

    assert [row["data_type"] for row in document["rows"]] == ["BVOLIndex", "EOHSummary"]
    assert parsed(document).rows == MATRIX.rows_of(Market.OPTIONS)


def test_dates_are_understood_bare_and_as_text(tmp_path: Path) -> None:
    for day in (date(2017, 8, 17), "2017-08-17"):
        assert load_matrix(written(tmp_path, "m.yaml", document_of(first_date=day))).rows[0].first_date == date(
            2017, 8, 17
        )


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for missing in ("nowhere.yaml", str(tmp_path / SEED_FILE_NAME)):
        with pytest.raises(ConfigError) as caught:
            load_matrix(missing)
        assert caught.value.message == f"Archive matrix file not found: {missing}"
        assert "leave out --matrix and matrix_path to use the bundled matrix" in caught.value.hint


def test_the_old_file_name_means_the_bundled_matrix_where_there_is_no_such_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert load_matrix(SEED_FILE_NAME) is MATRIX
    written(tmp_path, SEED_FILE_NAME, old_document())
    assert len(load_matrix(SEED_FILE_NAME).rows) == 28


def test_an_old_file_gets_the_facts_of_the_bundled_matrix(tmp_path: Path) -> None:
    old = load_matrix(written(tmp_path, "old.json", old_document()))

    assert len(old_document()["availability_matrix"]) == len(old.rows) == 28
    assert set(MATRIX.rows) - set(old.rows) == {MATRIX.row(Market.FUTURES_CM, "metrics")}
    assert old.row(Market.FUTURES_UM, "premiumIndex") == MATRIX.row(Market.FUTURES_UM, "premiumIndexKlines")
    assert old.version == "2025-07-19"
    assert old.interval("1M") == "1mo"
    assert old.symbols[Market.SPOT] == ("BTCUSDT", "ETHUSDT")
    assert old.symbols[Market.FUTURES_UM] == MATRIX.symbols[Market.FUTURES_UM]


def test_an_old_file_may_name_a_row_twice_by_its_two_names(tmp_path: Path) -> None:
    document = old_document()
    document["availability_matrix"].append(old_entry("futures_um", "futures/um", "premiumIndexKlines", ["1h"]))

    assert len(load_matrix(written(tmp_path, "old.json", document)).rows) == 28


def test_an_entry_that_only_an_old_file_knows_becomes_a_row(tmp_path: Path) -> None:
    document = old_document()
    document["availability_matrix"] += [
        old_entry("spot", "spot", "weather", [None]),
        old_entry("spot", "spot", "renko", ["1h", "1M"]),
    ]
    old = load_matrix(written(tmp_path, "old.json", document))
    weather, renko = old.rows[-2:]

    assert weather.key_pattern.template == "data/spot/{partition}/weather/{symbol}/{symbol}-weather-{date}.zip"
    assert dict(weather.partitions) == {Partition.DAILY: ()}
    assert (weather.status, weather.first_date, weather.note) == (Status.ACTIVE, date(2021, 1, 1), "weather of spot")
    assert dict(renko.partitions) == {Partition.DAILY: ("1h", "1mo")}
    assert parsed(matrix_document(old)) == old


def test_all_problems_of_an_old_file_are_reported_together(tmp_path: Path) -> None:
    entry = old_entry("spot", "spot", "weather", [None])
    bare = {name: value for name, value in entry.items() if name != "available_from"}
    bad_url = entry | {"data_type": "wind", "url_pattern": "s3://b/../{symbol}/{filename}"}
    no_intervals = old_entry("spot", "spot", "renko", ["1h"]) | {"intervals": [None]}
    document = {
        "last_updated": 7,
        "availability_matrix": [
            entry | {"market": "spots", "data_type": "x"},
            bare,
            entry | {"available_from": None},
            bad_url,
            no_intervals,
            entry,
            entry | {"notes": "again"},
            "klines",
            entry | {"market": ["spot"], "data_type": "hail", "partitions": []},
        ],
    }

    entries = "old.json, availability_matrix"
    assert complaints(document, tmp_path, "old.json") == [
        'old.json, last_updated: 7 is a number, not text; put it in quotes: "7"',
        f"{entries}[0].market: 'spots' {NO_MARKET}; did you mean 'spot'? {MARKETS}",
        f"{entries}[1].available_from: this field is required",
        f"{entries}[2].available_from: must be a day, such as 2025-07-15",
        (
            f"{entries}[3].url_pattern: the key pattern '../{{symbol}}/{{symbol}}-weather-{{date}}.zip' "
            "cannot be used: it must not have a folder or file called '..'"
        ),
        f"{entries}[4].intervals: the url_pattern has {{interval}}, so the intervals must be listed",
        f"{entries}[6]: spot already has a row called 'weather': {entries}[5]",
        f"{entries}[7]: 'klines' is not a mapping; write it like {{field: value}}",
        f"{entries}[8].market: ['spot'] {NO_MARKET}; did you mean 'spot'? {MARKETS}",
        f"{entries}[8].partitions: must not be empty; list at least one",
    ]


def test_all_problems_of_a_matrix_are_reported_together(tmp_path: Path) -> None:
    right = document_of()["rows"][0]
    document = {
        "name": "x",
        "version": 1.5,
        "row": [],
        "symbols": {"spott": ["BTCUSDT"]},
        "rows": [
            right,
            right | {"market": "spott", "colums": [], "status": "activ"},
            right | {"data_type": "trades", "key_pattern": "data/{symbol}/x.zip", "first_date": "2017-8-17"},
            right | {"data_type": "weather", "partitions": {"dayly": ["1h"]}},
            right | {"data_type": "wind", "partitions": {"daily": ["1/h", 5]}},
            right | {"aliases": ["renko"]},
            {"market": "spot"},
            7,
        ],
    }

    assert complaints(document, tmp_path) == [
        'm.yaml, version: 1.5 is a number, not text; put it in quotes: "1.5"',
        f"m.yaml, symbols.spott: 'spott' {NO_MARKET}; did you mean 'spot'? {MARKETS}",
        (
            "m.yaml, row: unknown field 'row'; did you mean 'rows'? "
            "(allowed: name, version, description, symbols, interval_aliases, notes, rows)"
        ),
        f"m.yaml, rows[1].market: 'spott' {NO_MARKET}; did you mean 'spot'? {MARKETS}",
        (
            "m.yaml, rows[1].status: 'activ' is not a valid status; did you mean 'active'? "
            "(allowed: active, discontinued, removed, never-published)"
        ),
        (
            "m.yaml, rows[1].colums: unknown field 'colums'; did you mean 'columns'? "
            "(allowed: market, data_type, status, key_pattern, partitions, first_date, last_date, aliases, "
            "symbol_rules, columns, header, time_unit, doubtful, note, source)"
        ),
        (
            "m.yaml, rows[2].key_pattern: the key pattern 'data/{symbol}/x.zip' cannot be used: "
            "the field {date} is missing"
        ),
        "m.yaml, rows[2].first_date: '2017-8-17' is not a valid day; write YYYY-MM-DD, such as 2025-07-15",
        (
            "m.yaml, rows[3].partitions.dayly: 'dayly' is not a valid partition; did you mean 'daily'? "
            "(allowed: daily, monthly)"
        ),
        "m.yaml, rows[4].partitions.daily[0]: '1/h' is not a valid interval; use letters and digits only",
        'm.yaml, rows[4].partitions.daily[1]: 5 is a number, not text; put it in quotes: "5"',
        "m.yaml, rows[5]: spot already has a row called 'klines': m.yaml, rows[0]",
        "m.yaml, rows[6].data_type: this field is required",
        "m.yaml, rows[6].key_pattern: this field is required",
        "m.yaml, rows[6].partitions: this field is required",
        "m.yaml, rows[7]: 7 is not a mapping; write it like {field: value}",
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"first_date": None}, ".first_date: this field is required; a plan from the calendar begins on that day"),
        ({"status": "discontinued"}, ".last_date: this field is required in a row that is discontinued"),
        ({"last_date": "2020-01-01"}, ".last_date: a row that is active has no last day; is it discontinued?"),
        (
            {"status": "discontinued", "last_date": "2017-01-01"},
            ".last_date: 2017-01-01 is before the first day, 2017-08-17",
        ),
        ({"partitions": {}}, ".partitions: must not be empty; list daily, monthly or both"),
        (
            {"status": "never-published"},
            ".partitions: a row that is never-published has no partitions; write {}",
        ),
        (
            {"partitions": {"monthly": []}},
            ".partitions.monthly: the key pattern has {interval}, so the intervals must be listed",
        ),
        (
            {"key_pattern": "data/{partition}/{symbol}/{date}.zip"},
            ".partitions.daily: the key pattern has no {interval}, so the list must be empty: []",
        ),
        ({"key_pattern": 5}, ".key_pattern: 5 is not text"),
        (
            {"first_date": "2025-02-30"},
            ".first_date: '2025-02-30' is not a valid day; write YYYY-MM-DD, such as 2025-07-15",
        ),
        ({"partitions": ["daily"]}, ".partitions: ['daily'] is not a mapping; write it like {field: value}"),
        ({"columns": "open"}, ".columns: 'open' is not a list; write [open]"),
        ({"aliases": [""]}, ".aliases[0]: must not be empty"),
        (
            {"symbol_rules": [{"match": "(", "becomes": ""}]},
            ".symbol_rules[0].match: '(' is not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            {"symbol_rules": [{"match": "a", "becomes": r"\1"}]},
            r".symbol_rules[0]: '\\1' does not fit the expression 'a': invalid group reference 1 at position 1",
        ),
        (
            {"symbol_rules": [{"match": "a", "becomes": "b", "become": "c"}]},
            ".symbol_rules[0].become: unknown field 'become'; did you mean 'becomes'? (allowed: match, becomes)",
        ),
    ],
)
def test_what_is_said_of_a_row(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert complaints(document_of(**changes), tmp_path, "m.json") == [f"m.json, rows[0]{said}"]


def test_problems_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("name: x\nversion: '1'\nrows:\n- market: spot\n  data_type: ''\n- 7\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_matrix(path)
    places = [problem.place.removeprefix(f"{path}, ") for problem in caught.value.problems]
    assert places[0] == "line 5, rows[0].data_type"
    assert places[-1] == "line 6, rows[1]"


def test_a_matrix_needs_rows(tmp_path: Path) -> None:
    assert complaints({"name": "x", "version": "1", "rows": []}, tmp_path) == [
        "m.yaml, rows: must not be empty; list at least one"
    ]
    assert complaints({"name": "x", "version": "1", "rows": 5}, tmp_path) == [
        "m.yaml, rows: 5 is not a list; write [5]"
    ]


def test_other_files_are_not_matrix_files(tmp_path: Path) -> None:
    assert complaints({"markets": ["spot"]}, tmp_path) == [
        "m.yaml: is not a matrix file: it has neither 'rows' nor 'availability_matrix'"
    ]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "m.yaml",
            b"name: x\nrows: [\n",
            ", line 3: is not valid YAML: while parsing a flow node, did not find expected node content",
        ),
        ("m.json", b'{"name": "x",\n "rows": ]}', ", line 2: is not valid JSON: Expecting value"),
        ("m.yaml", b"\xff\xfe", ": cannot be read: it is not UTF-8 text"),
        ("m.yaml", b"rows: \x00", ": is not valid YAML: "),
        ("m.yaml", b"- rows", ": is not a mapping of fields"),
        ("m.yaml", b"", ": is empty"),
        ("m.yaml", b"name: x\nname: y", ", line 2, name: duplicate field, first defined on line 1"),
    ],
)
def test_files_that_cannot_be_read(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_matrix(path)
    assert caught.value.message.startswith(f"{path}{said}")


def test_a_folder_is_not_a_matrix_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_matrix(tmp_path)
    assert caught.value.message.startswith(f"{tmp_path}: cannot be read: ")


def test_the_data_folders_are_found_inside_the_package_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "crypto_archive"
    monkeypatch.setattr(bundled, "_PACKAGE", package)
    with pytest.raises(FileNotFoundError, match="installed without its 'matrix' folder; install the package again"):
        bundled.data_folder("matrix")

    (tmp_path / "matrix").mkdir()
    assert bundled.data_folder("matrix") == tmp_path / "matrix"

    (package / "_data" / "matrix").mkdir(parents=True)
    assert bundled.data_folder("matrix") == package / "_data" / "matrix"
