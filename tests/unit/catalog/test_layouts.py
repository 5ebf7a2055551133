"""Layouts: every object of the archive has a path of its own in each, below ``data/``, which tells its key again."""

from __future__ import annotations

import sys
from collections import defaultdict
from datetime import date
from importlib.metadata import EntryPoint
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, strategies as st

from crypto_archive.catalog import layout_kinds as own
from crypto_archive.catalog.keys import KeyPattern
from crypto_archive.catalog.layout_kinds import HIVE_TEMPLATE, LayoutError, placement_of
from crypto_archive.catalog.layouts import MIRROR, NoPlace, plain_parts, require_plain
from crypto_archive.catalog.matrix import Matrix, Row
from crypto_archive.model import SIDECAR_SUFFIX, Market, Partition, Period
from tests.objects import an_object, bundled, row_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from crypto_archive.catalog.layouts import Placement
    from crypto_archive.model import ArchiveObject

NAMES = (
    "mirror",
    "hive",
    "{market}/{data_type}/{symbol}/{interval}/{name}",
    "{symbol}/{interval}/{data_type}/m-{market}",
    "{date}/{data_type}/{market}/{name}",
    "{market}/year={year}/{partition}-{month}/of {data_type}/{symbol}-{interval}/",
)
TEMPLATES = NAMES[1:]


class ByYear:
    """A layout of somebody's own, as documented."""

    def folder(self, item: ArchiveObject) -> PurePosixPath:
        series = item.series
        return PurePosixPath(str(item.period.first_day.year), series.market, series.data_type, series.symbol)


class OldStorage:
    """The older workflow's custom storage."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings

    def get_partition_path(self, **kwargs: Any) -> str:
        return "{market}/{data_type}/{symbol}/{year}".format(**kwargs)


@pytest.fixture(autouse=True)
def a_module_of_layouts(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """An importable module ``my_layouts``."""
    module = ModuleType("my_layouts")
    monkeypatch.setitem(sys.modules, "my_layouts", module)
    module.ByYear = ByYear  # type: ignore[attr-defined]
    module.storage = OldStorage({})  # type: ignore[attr-defined]
    module.OldStorage = OldStorage  # type: ignore[attr-defined]
    module.number = 7  # type: ignore[attr-defined]
    return module


def placed(name: str) -> Placement:
    return placement_of(name, bundled())


symbols = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], exclude_characters="/\\\u2065"),
    min_size=1,
    max_size=50,
).filter(lambda text: text not in {".", ".."})
rows = st.sampled_from(bundled().rows)
periods = st.builds(Period.containing, st.dates(min_value=date(2009, 1, 3)), st.sampled_from(Partition))


@st.composite
def objects(draw: st.DrawFn) -> ArchiveObject:
    row = draw(rows)
    interval = draw(st.sampled_from(row.all_intervals)) if row.has_intervals else None
    return row.object(draw(symbols), interval, draw(periods))


HOSTILE = (
    "币安人生USDT",
    "100%25",
    "a=b",
    "x-trades-2025-07",
    "spot",
    "market=spot",
    "...",
    "CON",
    " ",
    "%(symbol)s",
    "{date}",
)


@pytest.mark.parametrize("name", NAMES)
@given(objects())
@example(row_of(Market.SPOT, "klines").object("a-1h-2025-07-15.zip", "1h", Period(Partition.DAILY, date(2025, 7, 15))))
def test_a_path_gives_its_key_back_and_stays_below_data(name: str, item: ArchiveObject) -> None:
    layout = placed(name)
    path = layout.path(item.key)
    assert plain_parts(path)[0] == "data"
    assert layout.key(path) == item.key
    assert path.rpartition("/")[2] == item.key.rpartition("/")[2]
    assert layout.path(item.key + SIDECAR_SUFFIX) == path + SIDECAR_SUFFIX


PARTS = [
    "data",
    "a",
    ".",
    "..",
    "",
    ".crypto-archive",
    "币安",
    "x=1%",
    "\\",
    "C:",
    "\x7f",
    "\n",
    " ",
    "a.",
    "\ud800",
    "-",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PARTS)).map("/".join)))
def test_plain_paths_are_told_apart_in_two_ways(path: str) -> None:
    def refuses(check: Callable[[str], object]) -> bool:
        try:
            check(path)
        except ValueError:
            return True
        return False

    assert refuses(require_plain) == refuses(plain_parts)


@pytest.mark.parametrize("name", [*NAMES, "my_layouts:ByYear"])
def test_no_two_objects_of_the_matrix_share_a_path_even_where_case_is_ignored(name: str) -> None:
    layout = placed(name)
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for row in bundled().rows:
        for symbol in ("BTCUSDT", *HOSTILE):
            for interval in row.all_intervals or (None,):
                for partition in Partition:
                    item = row.object(symbol, interval, Period.containing(date(2025, 7, 15), partition))
                    taken[layout.path(item.key).casefold()].add(item.key)
    assert len(taken) > 3000
    assert [keys for keys in taken.values() if len(keys) > 1] == []


@given(objects(), objects(), st.sampled_from(TEMPLATES))
def test_equal_paths_mean_equal_objects(first: ArchiveObject, second: ArchiveObject, name: str) -> None:
    layout = placed(name)
    assert (layout.path(first.key) == layout.path(second.key)) is (first.key == second.key)


@pytest.mark.parametrize("name", [*TEMPLATES, "my_layouts:ByYear", "my_layouts:storage"])
@pytest.mark.parametrize(
    "path",
    [
        "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2025-07-15.zip",
        "data/notes.txt",
        "data",
        "",
        "BTCUSDT-1h-2025-07-15.zip",
        "elsewhere/market=spot/data_type=klines/symbol=BTCUSDT/interval=1h/partition=daily/BTCUSDT-1h-2025-07-15.zip",
        "data/market=spot/data_type=klines/symbol=ETHUSDT/interval=1h/partition=daily/BTCUSDT-1h-2025-07-15.zip",
        "data/market=spot/data_type=klines/symbol=BTCUSDT/interval=1h/partition=monthly/BTCUSDT-1h-2025-07-15.zip",
        "data/market=spot/data_type=trades/symbol=BTCUSDT/interval=1h/partition=daily/BTCUSDT-trades-2025-07-15.zip",
        "data/2024/spot/klines/BTCUSDT/BTCUSDT-1h-2025-07-15.zip",
    ],
)
def test_what_a_layout_puts_no_object_at_is_none(name: str, path: str) -> None:
    assert placed(name).key(path) is None


def test_paths_in_hive_are_those_that_its_readers_take() -> None:
    hive = placed("hive")
    spot = "data/market=spot/data_type=klines/symbol=BTCUSDT/interval=1h/partition=daily/BTCUSDT-1h-2025-07-01.zip"
    assert hive.path(an_object().key) == spot
    trades = an_object(market=Market.FUTURES_UM, data_type="trades")
    assert hive.path(trades.key).startswith("data/market=futures_um/data_type=trades/symbol=BTCUSDT/partition=daily/")
    odd = an_object(symbol="币安=50%USDT")
    assert hive.path(odd.key).split("/")[3] == "symbol=币安%3D50%25USDT"


def test_a_key_that_writes_a_month_with_one_digit_keeps_its_name() -> None:
    key = "data/spot/monthly/klines/ADABKRW/1h/ADABKRW-1h-2020-8.zip"
    for name in NAMES:
        path = placed(name).path(key)
        assert path.endswith("/ADABKRW-1h-2020-8.zip")
        assert placed(name).key(path) == key


def test_a_key_that_the_matrix_does_not_know_has_no_place() -> None:
    with pytest.raises(
        NoPlace, match=r"the layout hive has no place for the key 'data/x\.zip', which is not in the matrix"
    ):
        placed("hive").path("data/x.zip")


# Names


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("mirror", "mirror"),
        ("hive", "hive"),
        (HIVE_TEMPLATE, "hive"),
        (HIVE_TEMPLATE + "/{name}", "hive"),
        ("{market}/{data_type}/{name}", "{market}/{data_type}"),
        ("{market}/{data_type}/", "{market}/{data_type}"),
        ("my_layouts:ByYear", "my_layouts:ByYear"),
    ],
)
def test_one_layout_has_one_name(written: str, name: str) -> None:
    assert placed(written).name == name


def test_only_the_mirror_goes_by_key() -> None:
    assert placed("mirror") is MIRROR
    assert [placed(name).by_key for name in NAMES] == [True, *[False] * len(TEMPLATES)]


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        (
            "{symbol}/{name}",
            "{market} must be a folder of its own, or objects of different markets with the same",
        ),
        (
            "{market}/{symbol}/{interval}/{name}",
            "{data_type} must be a folder of its own, or objects of different",
        ),
        ("{market}-{data_type}/{name}", "{market} must not share its folder with another field"),
        ("{market}/{data_type}-{symbol}", "{data_type} must not share its folder with another field"),
        ("/{market}/{data_type}", "it must be relative, without empty folder names"),
        ("{market}//{data_type}", "it must be relative, without empty folder names"),
        ("{name}", "{name}, the file's own name, can only be the last part"),
        ("../{market}/{data_type}", "'..' is not a valid folder name"),
        ("./{market}/{data_type}", "'.' is not a valid folder name"),
        ("a\0b/{market}/{data_type}", "'a\\x00b' is not a valid folder name"),
        ("a\\b/{market}/{data_type}", "'a\\\\b' is not a valid folder name"),
        ("C:/{market}/{data_type}", "'C:' is not a valid folder name"),
        ("{market}/{data_type}/{name}.zip", "{name}, the file's own name, can only be the last part"),
        ("{market}/{name}/{data_type}", "{name}, the file's own name, can only be the last part"),
        (
            "{market}/{data_type}/{simbol}",
            "unknown field {simbol}; nearest is 'symbol'; the fields are {market}, {data",
        ),
        ("{market}/{data_type}/{}", "unknown field {}"),
        ("{market}/{data_type}/{symbol!r}", "{symbol} cannot be formatted; write {symbol} alone"),
        ("{market}/{data_type}/{month:>5}", "{month} cannot be formatted; write {month} alone"),
        ("{market}/{data_type", "a brace is unbalanced"),
        ("{market}/{data_type}/}", "a brace is unbalanced"),
        ("{market}/{data_type}/" + "x" * 250 + "{symbol}", "could get longer than 255 bytes"),
        ("{market}/{data_type}/{symbol}{symbol}", "could get longer than 255 bytes"),
    ],
)
def test_a_template_that_could_go_wrong_is_refused(template: str, fault: str) -> None:
    with pytest.raises(LayoutError) as caught:
        placed(template)
    assert str(caught.value).startswith(f"the template {template!r}: ")
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("my_layouts:number", "'my_layouts:number' is not a layout: it has no method folder(item)"),
        ("my_layouts:nothing", "'my_layouts:nothing' cannot be imported: AttributeError"),
        ("no_such_module:Layout", "'no_such_module:Layout' cannot be imported: ModuleNotFoundError"),
        ("os:abort", "'os:abort' is not a layout"),
        (":x", "':x' cannot be imported: ValueError"),
        ("my_layouts:", "'my_layouts:' cannot be imported: AttributeError"),
        ("my_layouts:OldStorage", "'my_layouts:OldStorage' cannot be created: TypeError"),
    ],
)
def test_an_invalid_layout_is_refused(name: str, fault: str) -> None:
    with pytest.raises(LayoutError) as caught:
        placed(name)
    assert str(caught.value).startswith(fault)


def test_an_unknown_name_is_reported_with_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("by-year", "my_layouts:ByYear", own.GROUP)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **wanted: FoundEntries([entry]))
    with pytest.raises(LayoutError, match="unknown layout 'by-yaer'; it may also be a template such as") as caught:
        placed("by-yaer")
    assert (caught.value.allowed, caught.value.nearest) == (("mirror", "hive", "by-year"), "by-year")
    assert placed("by-year").path(an_object().key) == "data/2025/spot/klines/BTCUSDT/BTCUSDT-1h-2025-07-01.zip"


class FoundEntries(list[EntryPoint]):
    @property
    def names(self) -> set[str]:
        return {entry.name for entry in self}


# Layouts of somebody's own


def layout_that_gives(module: ModuleType, folder: Callable[[ArchiveObject], object]) -> Placement:
    class Given:
        def folder(self, item: ArchiveObject) -> object:
            return folder(item)

    module.Given = Given  # type: ignore[attr-defined]
    return placed("my_layouts:Given")


def test_an_older_storage_is_asked_by_keywords() -> None:
    path = "data/spot/klines/BTCUSDT/2025/BTCUSDT-1h-2025-07-01.zip"
    assert placed("my_layouts:storage").path(an_object().key) == path
    assert placed("my_layouts:storage").key(path) == an_object().key


def sorted_by(item: ArchiveObject) -> str:
    return f"{item.series.market}/{item.series.data_type}"


@pytest.mark.parametrize(
    ("folder", "fault"),
    [
        (lambda item: item.series.market, "puts .* and .* at the same path: data/"),
        (
            lambda item: sorted_by(item).replace("spot", "FUTURES_UM"),
            "puts .* and .* at the same path: data/FUTURES_UM/",
        ),
        (lambda item: "/" + sorted_by(item), r"returned '/spot/klines' for .*, which is not a plain relative path"),
        (
            lambda item: "../" + sorted_by(item),
            r"returned '\.\./spot/klines' for .*, which is not a plain relative path",
        ),
        (lambda item: "", "returned '' for .*, which is not a plain relative path"),
        (lambda item: sorted_by(item) + "/a\0b", "returned .* for .*, which is not a plain relative path"),
        (lambda item: sorted_by(item) + "/" + "x" * 256, "returned a folder of more than 255 bytes"),
        (lambda item: None, "returned None for .*, which is not a path"),
        (lambda item: 1 / 0, "failed for .*: ZeroDivisionError: division by zero"),
    ],
)
def test_answers_against_the_rules_are_refused_before_anything_is_written(
    a_module_of_layouts: ModuleType, folder: Callable[[ArchiveObject], object], fault: str
) -> None:
    with pytest.raises(LayoutError, match=f"the layout my_layouts:Given {fault}"):
        layout_that_gives(a_module_of_layouts, folder)


def test_paths_may_be_of_any_kind(a_module_of_layouts: ModuleType) -> None:
    layout = layout_that_gives(
        a_module_of_layouts, lambda item: PureWindowsPath(item.series.market, item.series.data_type)
    )
    assert layout.path(an_object().key).startswith("data/spot/klines/")
    layout = layout_that_gives(a_module_of_layouts, lambda item: Path(item.series.market) / item.series.data_type)
    assert layout.path(an_object().key).startswith("data/spot/klines/")


def test_what_shares_a_path_later_has_no_place(a_module_of_layouts: ModuleType) -> None:
    layout = layout_that_gives(
        a_module_of_layouts, lambda item: "all" if item.series.symbol == "ODDUSDT" else sorted_by(item)
    )
    layout.path(an_object().key)
    odd = an_object(symbol="ODDUSDT").key
    with pytest.raises(NoPlace, match=f"puts {odd} and .* at the same path: data/all/ODDUSDT-1h-2025-07-01.zip"):
        layout.path(odd)
    assert layout.key("data/all/ODDUSDT-1h-2025-07-01.zip") is None


# Matrices whose file names do not tell


def matrix_of(*patterns: str) -> Matrix:
    kinds = (("klines", "trades") if len(patterns) == 2 else ("klines",)) if len(patterns) < 3 else ("a", "b", "A")
    return Matrix(
        "test",
        "1",
        tuple(
            Row(
                Market.SPOT, kind, row_of(Market.SPOT, "klines").status, KeyPattern(pattern), {Partition.DAILY: ("1h",)}
            )
            for kind, pattern in zip(kinds, patterns, strict=True)
        ),
    )


@pytest.mark.parametrize("name", ["hive", "my_layouts:ByYear"])
@pytest.mark.parametrize("ending", ["{date}.zip", "{symbol}-{date}.zip", "{symbol}{interval}-{date}.zip"])
def test_names_that_do_not_tell_leave_only_the_mirror(name: str, ending: str) -> None:
    matrix = matrix_of("data/spot/{partition}/klines/{symbol}/{interval}/" + ending)
    with pytest.raises(LayoutError, match="the file names of spot klines do not identify its objects"):
        placement_of(name, matrix)
    assert placement_of("mirror", matrix) is MIRROR


def test_data_types_that_differ_in_case_leave_only_the_mirror() -> None:
    pattern = "data/spot/{partition}/%s/{symbol}/{symbol}-x-{date}.zip"
    with pytest.raises(LayoutError, match="data types that differ only in case"):
        placement_of("hive", matrix_of(*(pattern % kind for kind in ("a", "b", "A2"))))
