"""Wrong input at every step of every command, and the one clear answer to each.

The tables specify those answers: what is wrong, where, what is allowed, and what to do about it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.archive.proxy import Status
from tests.archive.results import files_below
from tests.extras import skip_where_prefect_is_missing

if TYPE_CHECKING:
    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner

NOBODY = "http://127.0.0.1:9"
ONE = "-m spot -t klines -i 1h -s BTCUSDT --start 2025-07-15 --end 2025-07-15"
SELECTING = ("plan", "collect", "verify", "coverage", "flow deployment")
LISTING = ("plan", "coverage", "symbols", "matrix check")
PRESETS = "(allowed: backtest, high-throughput, low-memory, pipeline, research, resilient)"
TYPES = "(allowed: klines, aggTrades, trades, bookDepth, bookTicker, indexPriceKlines, markPriceKlines, "


def answer(run: Runner, arguments: str) -> tuple[int, str]:
    """Return the exit code and standard error on one line; nothing is on standard output or on disk."""
    skip_where_prefect_is_missing(arguments.split())
    code, stdout, stderr = run.with_environment(COLUMNS="300", XDG_CONFIG_HOME=str(run.folder / "config"))(
        *arguments.split()
    )
    assert "Traceback" not in stderr
    assert stdout == ""
    text = " ".join(stderr.split())
    assert len(re.findall(r"(?<!\w)Error: ", text)) == 1, text
    return code, text


@pytest.mark.parametrize("command", SELECTING)
@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("-p reserch", f"Error: --preset: unknown preset 'reserch'; did you mean 'research'? {PRESETS} Hint: "),
        ("-o s3://bucket/x", "Error: --output: 's3://bucket/x' is a URL, not a path Hint: Name a folder"),
        ("-p mine.yaml", "Error: --preset: Preset file not found: mine.yaml (no such file)"),
        ("-m spto", "Error: --market: 'spto' is not a valid market type; did you mean 'spot'? (allowed: "),
        ("-t kline", f"Error: --data-type: unknown data type 'kline'; did you mean 'klines'? {TYPES}"),
        ("-t fundingrate", "unknown data type 'fundingrate'; did you mean 'fundingRate'?"),
        ("-i 1hour", "Error: --interval: unknown interval '1hour'; did you mean '1h'? (allowed: 1s, 1m, 3m, 5m,"),
        ("-i 60m", "Error: --interval: unknown interval '60m'"),
        ("--start 2025-07-20 --end 2025-07-15", "Error: --start, --end: the start 2025-07-20 is after"),
        ("--start 15.07.2025", "Error: --start: '15.07.2025' is not a day; write YYYY-MM-DD, such as 2025-07-15, or"),
        ("--start 2025-02-30", "Error: --start: '2025-02-30' is not a day"),
        ("--start 2199-01", "Error: --start: the start 2199-01-01 is in the future (today is 20"),
        ("--last 30", "Error: --last: '30' is not a span of time; write it like 30d, 2w, 1mo or 1y"),
        ("--contract perp", "Error: --contract: 'perp' is not a valid kind of contract; did you mean 'perpetual'?"),
        ("--partition day", "Error: --partition: 'day' is not"),
        ("--discover list", "Error: --discover: 'list' is not"),
        ("-s @gone.txt", "Error: --symbol: the list of symbols 'gone.txt' cannot be read: No such file or directory"),
        ("--endpoint-url localhost:9000", "Error: --endpoint-url: 'localhost:9000' is not a valid URL; write it like https://"),
        ("--matrix gone.yaml", "Error: --matrix: Archive matrix file not found: gone.yaml"),
        ("--presett x", "Error: No such option: --presett (Possible options: "),
        ("--layout hvie", "Error: --layout: unknown layout 'hvie'"),
    ],
)  # fmt: skip
def test_problems_of_a_selection(run: Runner, command: str, wrong: str, words: str) -> None:
    code, said = answer(run, f"{command} {wrong}")
    assert (code, said.startswith("Error: "), words in said) == (2, True, True), said
    assert files_below(run.folder) == []


def test_all_problems_are_listed_together(run: Runner) -> None:
    code, said = answer(run, "collect -p reserch -m spto -t kline --last 30")
    assert code == 2
    assert said.startswith("Error: 4 problems ")
    assert all(word in said for word in ("'reserch'", "'spto'", "'kline'", "'30'"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("colect", "Error: No such command 'colect'. Did you mean 'collect'? Hint: See `crypto-archive --help`."),
        ("matrix cover", "No such command 'cover'"),
        ("collect", "Error: Nothing is selected, and the whole archive is too much to fetch by accident Hint: "),
        ("collect --jobs 0 " + ONE, "Error: --jobs: 0 is too small; the minimum is 1"),
        ("collect --jobs many " + ONE, "Error: --jobs: "),
        ("collect --max-bytes 5G " + ONE, "Error: --max-bytes: '5G' is not a size; write it like 50GB"),
        ("collect --every hourly " + ONE, "Error: --every: 'hourly' is not a duration; write it like 90s,"),
        ("collect --locked gone.lock", "Error: Lock file not found: gone.lock Hint: "),
        ("collect --locked gone.lock -m spot", "the lock file alone selects what to download; leave out --market"),
        ("collect --layout {symbol} " + ONE, "Error: --layout: the template '{symbol}': {market} must be a folder"),
        ("plan --to x " + ONE, "Error: --to: --format runfiles and --to DIR need each other"),
        ("plan --shards 4 " + ONE, "Error: --shards: name a folder for the shards with --to DIR"),
        ("plan --diff gone.lock " + ONE, "Error: Lock file not found: gone.lock"),
        ("plan --format yaml " + ONE, "Error: --format: 'yaml' is not one of 'jsonl', 'runfiles' Hint: "),
        ("plan --format json " + ONE, "Error: --format: 'json' is not one of 'jsonl', 'runfiles'; use --json Hint: "),
        ("coverage --format table", "Error: --format: 'table' is not one of 'html'; the table is printed"),
        ("symbols --format json", "Error: --format: 'json' is not one of 'names'; use --json Hint: "),
        ("matrix show -f json", "Error: --format: 'json' is not one of 'yaml', 'markdown'; use --json Hint: "),
        ("plan --json --format jsonl " + ONE, "Error: --json: cannot be combined with --format jsonl"),
        ("symbols --json --format names", "Error: --json: cannot be combined with --format names"),
        ("verify --rebuild-manifest --discover listing", "a manifest is rebuilt from the files alone"),
        ("symbols --as-of 2021-13-01", "Error: --as-of: '2021-13-01' is not a day; write"),
        ("symbols --as-of 2021-06", "Error: --as-of: '2021-06' has more than one day; write one, such as 2021-06-30"),
        ("symbols --as-of 2199-01-01", "Error: --as-of: 2199-01-01 is not over yet, so there is no data of it"),
        ("relayout", "Error: Missing option '--to' Hint: See `crypto-archive relayout --help`."),
        ("relayout --to hvie", "Error: --to: unknown layout 'hvie'"),
        ("preset show reserch", f"Error: NAME: unknown preset 'reserch'; did you mean 'research'? {PRESETS}"),
        ("preset show", "Error: Missing argument 'NAME|FILE...' Hint: See `crypto-archive preset show --help`."),
        ("preset new research", "Error: 'research' would shadow the bundled preset of that name Hint: "),
        ("preset new a/b", "Error: name: 'a/b' is not a valid name for a preset Hint: Choose a name such as my-choice"),
        ("flow deployment", "Error: Nothing is selected, and the whole archive is too much to fetch by accident"),
        ("flow serve -p research --cron daily", "'daily' is not a valid cron expression Hint: It has five"),
    ],
)  # fmt: skip
def test_problems_of_one_command(run: Runner, arguments: str, words: str) -> None:
    code, said = answer(run, arguments)
    assert (code, said.startswith("Error: "), words in said) == (2, True, True), said
    assert files_below(run.folder) == []


@pytest.mark.parametrize(
    "command", ["verify --all", "verify --rebuild-manifest", "verify --all --repair", "relayout --to hive"]
)
@pytest.mark.parametrize("root", ["nowhere", "file"])
def test_an_archive_root_that_does_not_exist(run: Runner, command: str, root: str) -> None:
    (run.folder / "file").touch()
    code, said = answer(run, f"{command} -o {root}")
    assert code == 5
    assert (
        f"Error: There is no archive root at {run.folder / root} Hint: Name the folder that a collect has filled"
        in said
    )
    assert files_below(run.folder) == ["file"]


def test_an_archive_root_that_cannot_be_created(run: Runner) -> None:
    (run.folder / "file").touch()
    code, said = answer(run, f"collect {ONE} -o file/archive")
    assert (code, said.startswith("Error: "), str(run.folder / "file") in said, "--output" in said) == (
        5, True, True, True,
    )  # fmt: skip


@pytest.mark.parametrize("command", LISTING)
def test_no_network(run: Runner, command: str) -> None:
    selection = "" if command in {"symbols", "matrix check"} else ONE
    code, said = answer(run, f"{command} {selection} --endpoint-url {NOBODY}")
    assert code == 5
    assert said.startswith(f"Error: The archive's server {NOBODY} cannot be reached: ")
    assert "Hint: Check the network, the proxy settings and --endpoint-url" in said


def test_no_network_for_a_collect(run: Runner) -> None:
    code, said = answer(run, f"collect {ONE} --endpoint-url {NOBODY} -q")
    assert code == 5
    assert said.startswith(f"Error: The archive's server {NOBODY} cannot be reached: ")


def test_a_server_that_denies(run: Runner, proxy: FaultProxy) -> None:
    proxy.fault("LIST", "*", Status(403))
    code, said = answer(run.at(proxy.endpoint_url), f"collect {ONE} -q")
    assert code == 5
    assert "denies the listing" in said
    assert "--discover calendar" in said


@pytest.mark.parametrize("command", ["plan", "collect"])
def test_a_misspelt_symbol_is_reported_with_the_nearest_ones(run: Runner, command: str) -> None:
    """It is not refused, since it may have been listed today; but nothing is found, and the summary says why."""
    code, stdout, _ = run.with_environment(COLUMNS="300")(command, *ONE.replace("BTCUSDT", "BTCUSD").split())
    assert code == 3
    said = " ".join(stdout.split())
    assert "the archive has no symbol 'BTCUSD'; nearest are 'BTCUSDT', 'ETHUSDT', 'BNBUSDT'" in said


def test_an_interval_of_another_market(run: Runner) -> None:
    code, stdout, _ = run.with_environment(COLUMNS="300")(
        "collect", "-m", "futures_um", "-t", "klines", "-i", "1s", "--last", "3d"
    )
    assert code == 3
    assert "futures_um klines: no interval 1s; nothing to plan for it" in " ".join(stdout.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("collect", *ONE.split(), "-o", ""),
        ("verify", "-o", ""),
        ("collect", *ONE.split(), "--report", ""),
        ("collect", *ONE.split(), "--metrics-file", "s3://bucket/x"),
        ("plan", *ONE.split(), "--lock", "https://host/x.lock"),
        ("plan", *ONE.split(), "--format", "runfiles", "--to", ""),
        ("coverage", *ONE.split(), "--to", "s3://bucket/x.html"),
    ],
    ids=" ".join,
)
def test_nothing_is_written_to_what_is_not_a_path_of_this_machine(run: Runner, arguments: tuple[str, ...]) -> None:
    code, stdout, stderr = run(*arguments)
    assert (code, stdout) == (2, "")
    error, hint = stderr.splitlines()
    option, value = arguments[-2:]
    fault = "is a URL, not a path" if value else "is not a valid path"
    assert error == f"Error: {'--output' if option == '-o' else option}: {value!r} {fault}"
    assert hint.startswith("Hint: ")
    assert files_below(run.folder) == []
