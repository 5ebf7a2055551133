"""Presets: how they are found and listed, and that the bundled ones and the seed's configurations load."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from crypto_archive.config.preset_files import preset_folder
from crypto_archive.config.presets import list_presets
from crypto_archive.config.run_config import Access, Fetching, Request, Selection
from crypto_archive.errors import ConfigError
from crypto_archive.model import DateRange, Market
from crypto_archive.s5cmd.binary import Binary
from crypto_archive.s5cmd.runfile import command_line
from crypto_archive.transfer.concurrency import concurrency_for
from tests.unit.asking import load_run_config

TODAY = date(2025, 7, 16)
SEED_CONFIGS = Path(__file__).parents[1] / "seed_configs"
BUNDLED = ("backtest", "high-throughput", "low-memory", "pipeline", "research", "resilient")
SPOT, UM, CM, OPTIONS = Market


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of presets."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "config" / "crypto-archive" / "presets"
    folder.mkdir(parents=True)
    return folder


def selection(*presets: str) -> Selection:
    return load_run_config(presets, {}, today=TODAY).request.selection


def fetching(*presets: str) -> Fetching:
    return load_run_config(presets, {}, today=TODAY).request.fetching


def access(*presets: str) -> Access:
    return load_run_config(presets, {}, today=TODAY).request.access


def refused(*presets: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_run_config(presets, {}, today=TODAY)
    return caught.value


RESEARCH = Selection(
    markets=(SPOT, UM, CM, OPTIONS),
    data_types=("klines", "trades", "fundingRate", "liquidationSnapshot", "BVOLIndex", "metrics", "bookDepth"),
    symbols={
        SPOT: ("BTCUSDT", "ETHUSDT", "ADAUSDT"),
        UM: ("BTCUSDT", "ETHUSDT", "ADAUSDT"),
        CM: ("BTCUSD_PERP", "ETHUSD_PERP"),
        OPTIONS: ("BTC", "ETH"),
    },
    intervals={"klines": ("1m", "5m", "1h", "1d"), "BVOLIndex": ("1h", "1d"), "bookDepth": ("1000ms",)},
)
BACKTEST = Selection(
    markets=(SPOT, UM),
    data_types=("klines", "trades", "fundingRate", "liquidationSnapshot"),
    symbols={SPOT: ("BTCUSDT", "ETHUSDT"), UM: ("BTCUSDT", "ETHUSDT")},
    intervals={"klines": ("1m", "5m", "1h")},
    dates=DateRange(date(2025, 6, 1), date(2025, 7, 15)),
)
PIPELINE = Selection(
    markets=(SPOT, UM),
    data_types=("klines", "trades", "fundingRate", "bookTicker"),
    symbols={SPOT: ("BTCUSDT", "ETHUSDT", "BNBUSDT"), UM: ("BTCUSDT", "ETHUSDT", "BNBUSDT")},
    intervals={"klines": ("1m", "5m", "1h")},
    dates=DateRange(date(2025, 7, 14), date(2025, 7, 15)),
)
QUICK_START = Selection(
    markets=(SPOT, UM),
    data_types=("klines", "trades"),
    symbols={SPOT: ("BTCUSDT", "ETHUSDT"), UM: ("BTCUSDT", "ETHUSDT")},
    intervals={"klines": ("1h", "1d")},
    dates=DateRange(date(2025, 7, 15), date(2025, 7, 15)),
)
MULTI_MARKET = Selection(
    markets=(SPOT, UM, CM, OPTIONS),
    data_types=("klines", "trades", "fundingRate", "BVOLIndex"),
    symbols={
        SPOT: ("BTCUSDT", "ETHUSDT"),
        UM: ("BTCUSDT", "ETHUSDT"),
        CM: ("BTCUSD_PERP",),
        OPTIONS: ("BTC",),
    },
)
EVERYTHING = Selection(markets=(SPOT, UM, CM, OPTIONS))
SEED = {
    "quick-start.json": (QUICK_START, Fetching(), ()),
    "multi-market.json": (MULTI_MARKET, Fetching(batch_size=100, jobs=8), ()),
    "high-performance.json": (
        EVERYTHING,
        Fetching(batch_size=100, jobs=8),
        ("--no-sign-request", "--retry-count=3", "--numworkers=8"),
    ),
    "memory-optimized.json": (EVERYTHING, Fetching(batch_size=1, jobs=2, part_size_mb=10), ()),
    "network-resilient.json": (EVERYTHING, Fetching(timeout_seconds=900), ("--retry-count=5",)),
    "research.yaml": (RESEARCH, Fetching(), ()),
    "backtest.yaml": (BACKTEST, Fetching(), ()),
    "pipeline.json": (PIPELINE, Fetching(force=True), ()),
    "benchmark.yaml": (EVERYTHING, Fetching(batch_size=100, jobs=8), ()),
}


@pytest.mark.parametrize("name", sorted(path.name for path in SEED_CONFIGS.iterdir()))
def test_every_configuration_of_the_seed_loads_as_it_is(name: str) -> None:
    request = load_run_config([str(SEED_CONFIGS / name)], {}, today=TODAY).request
    assert (request.selection, request.fetching, request.access.extra_args) == SEED[name]
    assert request.root == Path("output/data" if name == "quick-start.json" else "output")


def test_bundled_presets_say_what_the_seed_says() -> None:
    last_week = DateRange(date(2025, 7, 9), date(2025, 7, 15))
    assert selection("research") == Selection(
        RESEARCH.markets, RESEARCH.data_types, RESEARCH.symbols, RESEARCH.intervals, last_week
    )
    assert selection("backtest") == BACKTEST
    assert selection("pipeline") == PIPELINE
    assert fetching("pipeline") == Fetching(force=True)


@pytest.mark.parametrize(
    ("overlay", "seed"),
    [
        ("low-memory", "memory-optimized.json"),
        ("resilient", "network-resilient.json"),
    ],
)
def test_bundled_overlays_say_what_the_seed_says_and_leave_the_selection_alone(overlay: str, seed: str) -> None:
    _, how, extra_args = SEED[seed]
    assert selection("research", overlay) == selection("research")
    assert fetching("research", overlay) == how
    assert access("research", overlay).extra_args == extra_args


@pytest.mark.parametrize("below", [(), ("research",), ("backtest",), ("pipeline",)])
def test_high_throughput_is_faster_than_the_defaults_in_every_respect(below: tuple[str, ...]) -> None:
    """The setup of that name in the older workflow is not: it halves the workers of each process."""
    usual, fast = load_run_config(below, {}, today=TODAY).request, load_run_config(
        (*below, "high-throughput"), {}, today=TODAY
    ).request  # fmt: skip
    assert fast.selection == usual.selection
    assert transfers_of(fast) > transfers_of(usual)
    assert fast.fetching.batch_size >= usual.fetching.batch_size
    assert fast.fetching == replace(usual.fetching, jobs=fast.fetching.jobs, batch_size=fast.fetching.batch_size)


def transfers_of(request: Request) -> int:
    """How many objects are transferred in parallel, by the options that s5cmd gets."""
    chosen = concurrency_for(request.fetching.jobs)
    binary = Binary(Path("s5cmd"), "2.3.0")
    words = command_line(binary, request.access, Path("x.s5cmd"), workers=chosen.workers, retries=3)
    text = " ".join(words).replace("--numworkers=", "--numworkers ")
    return chosen.lanes * int(text.rpartition("--numworkers ")[2].split()[0])


def test_overlays_can_be_laid_over_one_another() -> None:
    assert fetching("low-memory", "high-throughput", "resilient") == Fetching(
        jobs=48, batch_size=100, part_size_mb=10, timeout_seconds=900
    )


def test_bundled_presets_are_listed_with_their_descriptions() -> None:
    found = list_presets()
    assert tuple(info.name for info in found) == BUNDLED
    assert tuple(info.name for info in found if info.overlay) == ("high-throughput", "low-memory", "resilient")
    assert all(info.description and info.bundled and not info.hides and info.path.is_file() for info in found)


def test_own_presets_are_found_by_name_and_listed(own_folder: Path) -> None:
    (own_folder / "mine.json").write_text('{"description": "a\\n b", "markets": ["spot"]}', "utf-8")
    (own_folder / "notes.txt").write_text("not a preset", "utf-8")
    assert selection("mine").markets == (SPOT,)
    info = list_presets()[-1]
    assert (info.name, info.description, info.path) == ("mine", "a b", own_folder / "mine.json")
    assert (info.bundled, info.overlay, info.hides) == (False, False, False)
    assert len(list_presets()) == len(BUNDLED) + 1


def test_an_own_preset_hides_a_bundled_one_but_not_in_silence(own_folder: Path) -> None:
    path = own_folder / "research.yaml"
    path.write_text("markets: [options]\n", "utf-8")
    configured = load_run_config(["research"], {}, today=TODAY)
    assert configured.request.selection.markets == (OPTIONS,)
    assert [notice.text for notice in configured.notices] == [
        f"your own preset {path} replaces the bundled preset 'research'"
    ]
    (info,) = (info for info in list_presets() if info.name == "research")
    assert (info.path, info.hides) == (path, True)


def test_messages_name_own_presets_by_their_path(own_folder: Path) -> None:
    (own_folder / "mine.yaml").write_text("batch_size: 0\n", "utf-8")
    assert str(refused("mine")) == f"{own_folder / 'mine.yaml'}, line 1, batch_size: 0 is too small; the minimum is 1"


def test_the_folder_of_own_presets_can_be_chosen(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "presets").mkdir()
    (here / "presets" / "mine.yml").write_text("markets: [spot]\n", "utf-8")
    (here / ".env").write_text("CRYPTO_ARCHIVE_PRESET_DIR=nowhere\n", "utf-8")
    assert refused("mine").hint.startswith("Save your own presets to nowhere,")
    monkeypatch.setenv("CRYPTO_ARCHIVE_PRESET_DIR", "presets")
    assert selection("mine").markets == (SPOT,)
    assert list_presets()[-1].name == "mine"


@pytest.mark.parametrize(
    ("platform", "folder"),
    [
        ("linux", "~/.config/crypto-archive/presets"),
        ("darwin", "~/Library/Application Support/crypto-archive/presets"),
        ("win32", "~/AppData/Roaming/crypto-archive/presets"),
    ],
)
def test_own_presets_are_where_the_platform_keeps_such_files(
    monkeypatch: pytest.MonkeyPatch, platform: str, folder: str
) -> None:
    for variable in ("XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("sys.platform", platform)
    assert preset_folder(None) == Path(folder).expanduser()


def test_yaml_goes_before_json_of_the_same_name(own_folder: Path) -> None:
    (own_folder / "mine.json").write_text('{"markets": ["spot"]}', "utf-8")
    (own_folder / "mine.yaml").write_text("markets: [options]", "utf-8")
    assert selection("mine").markets == (OPTIONS,)


def test_a_preset_that_cannot_be_read_is_listed_with_the_reason(own_folder: Path) -> None:
    (own_folder / "broken.yaml").write_text("markets: [", "utf-8")
    assert list_presets()[-1].description.startswith("broken.yaml, line 1: is not valid YAML: ")


def test_names_go_before_files_and_suffixes_make_a_path(here: Path) -> None:
    (here / "research").mkdir()
    (here / "pipeline").write_text("markets: [options]\n", "utf-8")
    (here / "plain").write_text("markets: [options]\n", "utf-8")
    (here / "backtest.yaml").write_text("markets: [options]\n", "utf-8")
    assert len(selection("research").markets) == 4
    assert len(selection("pipeline").markets) == 2
    assert selection("plain").markets == (OPTIONS,)
    assert selection("./plain").markets == (OPTIONS,)
    assert selection("backtest.yaml").markets == (OPTIONS,)
    assert len(selection("backtest").markets) == 2


def test_an_unknown_name_comes_with_the_nearest_and_all_names(own_folder: Path) -> None:
    (own_folder / "mine.yaml").write_text("markets: [spot]\n", "utf-8")
    error = refused("reserch")
    assert str(error) == (
        "--preset: unknown preset 'reserch'; did you mean 'research'? (allowed: "
        "backtest, high-throughput, low-memory, pipeline, research, resilient, mine)"
    )
    assert error.hint == f"Save your own presets to {own_folder}, or name a preset by its path."


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("gone.yaml", "Preset file not found: gone.yaml (no such file)"),
        ("some/gone", "Preset file not found: some/gone (no such file)"),
        ("./", "Preset file not found: ./ (it is a folder)"),
        (
            "research.yaml",
            "Preset file not found: research.yaml (no such file); did you mean 'research'?",
        ),
        ("a" * 400 + ".yaml", f"Preset file not found: {'a' * 400}.yaml (no such file)"),
    ],
)
def test_a_path_that_leads_nowhere(wanted: str, message: str) -> None:
    assert str(refused(wanted)) == f"--preset: {message}"
