"""The schema of presets for editors: what it takes, and that it refuses what `preset check` refuses for its form."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, strategies as st

from crypto_archive.catalog.document import read_document
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.config.fields import FIELDS, PRESET_FIELDS
from crypto_archive.config.load import preset_problems
from crypto_archive.config.schema import preset_schema
from tests.docs.generated import PRESET_SCHEMA, REPOSITORY, schema_text

TODAY = date(2025, 7, 20)
SCHEMA = preset_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PRESETS = [*(REPOSITORY / "configs").iterdir(), *(Path(__file__).parents[1] / "seed_configs").iterdir()]


def is_valid(preset: object) -> bool:
    return VALIDATOR.is_valid(preset)


def is_right(preset: object, folder: Path) -> bool:
    path = folder / "tried.json"
    path.write_text(json.dumps(preset), "utf-8")
    return not preset_problems(str(path), today=TODAY)


def test_it_is_a_schema_and_its_file_is_what_the_code_says() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert PRESET_SCHEMA.read_text("utf-8") == schema_text(), "run: python -m tests.docs"


def test_every_field_is_explained_and_takes_null() -> None:
    for name in PRESET_FIELDS:
        assert SCHEMA["properties"][name]["description"].startswith(FIELDS[name].meaning)
        assert is_valid({name: None})


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_bundled_presets_and_older_configurations_are_valid(path: Path) -> None:
    VALIDATOR.validate(read_document(path, path.name).values)


def test_the_example_of_every_field_is_valid_and_right(tmp_path: Path) -> None:
    for name in PRESET_FIELDS:
        loader = yaml.BaseLoader if name == "date_range" else yaml.SafeLoader
        preset = yaml.load(f"{name}: {FIELDS[name].example}", loader)
        assert is_valid(preset), name
        assert is_right(preset, tmp_path), name


def test_it_has_the_words_of_the_matrix() -> None:
    matrix = load_matrix()
    for name in matrix.names:
        assert is_valid({"data_types": [name]})
        assert is_valid({"intervals": {name: [*matrix.intervals]}})
    assert not is_valid({"data_types": ["kline"]})
    assert is_valid({"intervals": {"bookDepth": ["1000ms"]}})


def test_a_matrix_of_its_own_has_words_of_its_own() -> None:
    assert is_valid({"matrix_path": "own.yaml", "data_types": ["ticks"], "intervals": {"ticks": ["7m"]}})
    assert not is_valid({"matrix_path": None, "data_types": ["ticks"]})


RIGHT: list[dict[str, Any]] = [
    {},
    {"symbols": ["BTCUSDT", "*USDT", "!*DOWNUSDT", "all", "币安人生USDT", "-X", "!-"]},
    {"symbols": {"spot": ["BTCUSDT"], "*": ["ETHUSDT"]}},
    {"intervals": ["1h", "1M"]},
    {"intervals": {"*": ["1h"], "premiumIndex": ["1d"]}},
    {"date_range": {"start": "2025-07-01", "end": "yesterday", "last": None}},
    {"date_range": {"last": "2W", "end": " 2025-07-15 "}},
    {"date_range": {"start": "2024", "end": "2025-07"}},
    {"date_range": {"start": 2024, "end": 20250715}},
    {"date_range": {"start": "20240229", "end": "Today"}},
    {"date_range": {"last": "1Mo"}},
    {"date_range": {"last": "1y"}},
    {"markets": "spot, um", "symbols": "BTCUSDT,ETHUSDT", "quote_assets": "USDT", "data_types": "klines,trades,"},
    {"symbols": {"spot": "BTCUSDT,*USDC", "um": ["ETHUSDT,BTCUSDT", "XRPUSDT"]}, "intervals": {"klines": "1h,1d"}},
    {"intervals": "1h", "quote_assets": ["USDT,USDC"]},
    {"max_bytes": "1.5tib"},
    {"max_bytes": 5000000},
    {"$schema": "preset.schema.json", "markets": ["spot"]},
    {"timeout_seconds": 0.5, "s5cmd_extra_args": []},
    {"batch_size": 100, "max_parallel_downloads": 64, "part_size_mb": 5120, "max_objects": 1},
]


@pytest.mark.parametrize("preset", RIGHT, ids=str)
def test_what_is_right_is_valid(preset: dict[str, Any], tmp_path: Path) -> None:
    assert is_right(preset, tmp_path)
    assert is_valid(preset)


WRONG: list[object] = [
    [],
    {"market": ["spot"]},
    {"markets": []},
    {"markets": ["spott"]},
    {"markets": [None]},
    {"symbols": []},
    {"symbols": {}},
    {"symbols": {"spott": ["BTCUSDT"]}},
    {"symbols": ["a/b"]},
    {"symbols": ["-"]},
    {"symbols": ["!@x"]},
    {"symbols": ["@"]},
    {"symbols": [".."]},
    {"symbols": ["!"]},
    {"symbols": [1]},
    {"symbols": {"spot": None}},
    {"quote_assets": ["USDT/USDC"]},
    {"markets": "spott"},
    {"markets": ""},
    {"symbols": ","},
    {"intervals": {"klines": "1q"}},
    {"date_range": {"start": "2025-13"}},
    {"date_range": {"start": "20250230"}},
    {"date_range": {"end": 202507}},
    {"date_range": {"last": "1m"}},
    {"date_range": {"last": "1mo", "start": 2025}},
    {"contract": "future"},
    {"settled": "maybe"},
    {"data_types": ["kline"]},
    {"intervals": {"kline": ["1h"]}},
    {"intervals": {"klines": ["1q"]}},
    {"intervals": ["1q"]},
    {"date_range": "7d"},
    {"date_range": {"begin": "2025-01-01"}},
    {"date_range": {"start": "2025-02-30"}},
    {"date_range": {"start": "01.02.2025"}},
    {"date_range": {"last": "7 days"}},
    {"date_range": {"last": "7d", "start": "2025-01-01"}},
    {"partition": "weekly"},
    {"discover": "guess"},
    {"max_objects": 0},
    {"max_bytes": "50G"},
    {"max_bytes": 0},
    {"batch_size": 101},
    {"batch_size": "10"},
    {"max_parallel_downloads": 65},
    {"timeout_seconds": 0},
    {"timeout_seconds": 604_801},
    {"part_size_mb": 0},
    {"s5cmd_extra_args": "--no-sign-request"},
    {"output_directory": " "},
    {"matrix_path": 7},
    {"workflow_type": "other"},
    {"description": 7},
    {"endpoint_url": "http://127.0.0.1:9000"},
]


@pytest.mark.parametrize("preset", WRONG, ids=str)
def test_invalid_values_are_refused_by_both(preset: object, tmp_path: Path) -> None:
    assert not is_right(preset, tmp_path)
    assert not is_valid(preset)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 700_000)
    | st.sampled_from(["", "spot", "klines", "1h", "7d", "2025-07-15", "auto", "perpetual", "listing", "50GB", "x y"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["*", "spot", "klines", "start", "end", "last"]), inner, max_size=2)
    ),
    max_leaves=4,
)
# Without the fields whose wrong values are no matter of form: files, options of s5cmd, layouts that may be installed.
by_form = sorted(set(PRESET_FIELDS) - {"matrix_path", "s5cmd_extra_args", "layout"})


@given(st.sampled_from(by_form), values)
def test_what_is_valid_has_the_right_form(tmp_path_factory: pytest.TempPathFactory, name: str, value: object) -> None:
    if is_valid({name: value}):
        assert is_right({name: value}, tmp_path_factory.getbasetemp())
