"""The documents say what the code does: generated parts, tables, links, commands and messages."""

from __future__ import annotations

import ast
import json
import os
import pkgutil
import re
from datetime import date
from functools import cache
from inspect import signature
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from typer.testing import CliRunner

from crypto_archive import events
from crypto_archive.catalog.matrix import Status
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.cli.app import app
from crypto_archive.config.fields import ENVIRONMENT_FIELDS, FIELDS, PREFIX, PRESET
from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import Fetching, Request, Selection
from crypto_archive.errors import ExitCode
from crypto_archive.jobs.plan import plan
from crypto_archive.model import Absence, Outcome, Verdict
from crypto_archive.transfer.concurrency import LANES
from tests.archive.inside import run_inside
from tests.docs.commands import Command, commands, examples, lines_in, parse
from tests.docs.generated import (
    DOCS,
    README,
    REPOSITORY,
    all_part_names,
    documents,
    part_names,
    preset_fields,
    regenerated,
)
from tests.extras import skip_where_prefect_is_missing

TODAY = date(2025, 7, 20)
TEXTS = {path: path.read_text(encoding="utf-8") for path in documents()}
COMMANDS = commands()
LEAVES = [command for command in COMMANDS if not command.is_group]
INLINE = re.compile(r"`([^`\n]+)`")


def text_of(name: str) -> str:
    return TEXTS[DOCS / name]


def first_cells(text: str) -> set[str]:
    """Return the words in code marks, or plain, of the first cells of all tables."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("|")]
    return {word for cell in cells for word in (INLINE.findall(cell) or [cell.strip()])}


def row_of(text: str, name: str) -> list[str]:
    """Return the cells of the table row that begins with ``name`` in code marks, alone or before other names."""
    row = next(line for line in text.splitlines() if re.match(rf"\| `{name}`[ ,]", line))
    return [cell.strip() for cell in row.strip("|").split(" | ")]


# Generated parts


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_generated_parts_are_what_the_code_says(path: Path) -> None:
    assert TEXTS[path] == regenerated(TEXTS[path]), "run: python -m tests.docs"


def test_every_part_is_in_one_document() -> None:
    found = [name for text in TEXTS.values() for name in part_names(text)]
    assert sorted(found) == sorted(all_part_names())


def test_the_index_leads_to_every_document() -> None:
    linked = {target.partition("#")[0] for _, target in links(text_of("index.md"))}
    assert {path.name for path in DOCS.glob("*.md")} - {"index.md", "architecture.md"} <= linked
    assert {"docs/index.md", "docs/architecture.md"} <= {target for _, target in links(TEXTS[README])}


# Commands and options


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.path or "crypto-archive")
def test_every_command_and_option_has_help_and_is_in_the_reference(command: Command) -> None:
    assert command.help
    assert command.path in text_of("commands.md")
    for option in command.options:
        assert option.help.strip(), option.names
        for name in option.names:
            assert name in text_of("commands.md")


@pytest.mark.parametrize("command", LEAVES, ids=lambda command: command.path)
def test_every_command_gives_examples_of_itself(command: Command) -> None:
    lines = examples(command)
    assert lines
    for line in lines:
        assert line.startswith(f"crypto-archive {command.path}")


def called() -> list[tuple[str, ...]]:
    """Return every call of crypto-archive in the documents and in the help of the commands, each once."""
    texts = [*TEXTS.values(), *("```sh\n" + "\n".join(examples(command)) + "\n```" for command in LEAVES)]
    calls = {tuple(call) for text in texts for call in lines_in(text)}
    return sorted(call for call in calls if call and not {"…", "COMMAND"}.intersection(call))


def test_examples_are_found() -> None:
    calls = called()
    assert ("collect", "--preset", "research") in calls
    assert ("preset", "list") in calls
    assert len(calls) > 30


@pytest.fixture
def playground(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the presets and lists of symbols that the documents show, and nothing else."""
    shown = re.compile(r"^```(?:yaml|text)\n# (\S+\.(?:yaml|txt))\n(.*?)^```", re.DOTALL | re.MULTILINE)
    for text in TEXTS.values():
        for name, content in shown.findall(text):
            (tmp_path / Path(name).name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRYPTO_ARCHIVE_PRESET_DIR", str(tmp_path_factory.mktemp("presets")))
    return tmp_path


def offline(call: tuple[str, ...]) -> list[str] | None:
    """Return a call such that it needs no network; None where it is made for one, or for a full archive root."""
    # The calendar knows no sizes, and a dry run has no report and is over at once.
    for option in {"--max-bytes", "--report", "--metrics-file", "--every"}.intersection(call):
        at = call.index(option)
        call = (*call[:at], *call[at + 2 :])
    match call:
        case ("plan" | "collect", *rest) if {"--lock", "--diff", "--locked", "--shards"}.intersection(rest):
            return None
        case ("collect", *_):
            return [*call, "--dry-run"]
        case ("plan", *_):
            return [*call, "--discover", "calendar"]
        case ("coverage", *_) if "--to" not in call and "--discover" not in call:
            return [*call, "--discover", "calendar"]
        case ("coverage" | "symbols", *_) if "--discover" not in call:
            return None
        case ("relayout", *_):
            return None
        case ("--install-completion" | "--show-completion", *_):  # tests/process has them, in a home of their own
            return None
        case ("doctor" | "status", *_):
            return None
        case ("flow", "run" | "serve", *_):  # tests/flows runs them
            return None
        case ("verify" | "matrix", *_) if call[0] == "verify" or "check" in call:
            return None
    return list(call)


@cache
def shown_to_fail() -> set[tuple[str, ...]]:
    return {tuple(one) for block in shown_runs() for one in lines_in(f"```sh\n{block[0]}\n```")}


@pytest.mark.parametrize("call", called(), ids=" ".join)
def test_every_call_in_the_documents_works(call: tuple[str, ...], playground: Path) -> None:
    parse(list(call))
    skip_where_prefect_is_missing(call)
    arguments = offline(call)
    if arguments is None or call in shown_to_fail() or call in {("plan",), ("collect",)}:
        return
    done = CliRunner().invoke(app, arguments, input="BTCUSDT\n")
    assert done.exit_code == ExitCode.OK, (done.output, done.exception)
    assert done.output
    if "runfiles" not in call:
        assert {path.suffix for path in playground.iterdir()} <= {".yaml", ".txt"}


def test_selections_of_verify_are_right(playground: Path) -> None:
    for call in called():
        if call[0] == "verify":
            done = CliRunner().invoke(app, [*call, "--output", str(playground / "none")])
            assert "There is no archive root" in str(done.exception)


def test_a_wrong_line_would_be_found() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["plan", "--prest", "research"])
    with pytest.raises(KeyError):
        parse(["matrix", "export"])


# Runs that are shown with what they say


def shown_runs() -> list[tuple[str, str]]:
    """Return the command and the output of each ``console`` block."""
    pattern = re.compile(r"^```console\n\$ (.*?\n.*?)^```", re.DOTALL | re.MULTILINE)
    blocks = [block for text in TEXTS.values() for block in pattern.findall(text)]
    return [(block.partition("\n")[0], block.partition("\n")[2]) for block in blocks]


@pytest.mark.parametrize("run", shown_runs(), ids=lambda run: run[0])
def test_shown_runs_say_what_is_shown(run: tuple[str, str], tmp_path: Path) -> None:
    (call,) = lines_in(f"```sh\n{run[0]}\n```")
    skip_where_prefect_is_missing(call)
    done = run_inside(call, tmp_path, os.environ, seconds=60)
    expected = ".*".join(re.escape(piece) for piece in run[1].split("…"))
    assert re.fullmatch(expected, done.stdout + done.stderr), done.stdout + done.stderr
    assert done.code == ExitCode.USAGE


OF_S5CMD = ("status code: ", "timeout", "EOF", "reset by peer", "file too large")
"""Words of reasons that come from s5cmd or from the operating system."""


def shown_messages() -> list[str]:
    """Return the messages and reasons that the troubleshooting page quotes, without figures and verdicts."""
    text = text_of("troubleshooting.md")
    blocks = re.findall(r"^```text\n((?:Error|note): .*?)^```", text, re.DOTALL | re.MULTILINE)
    lines = [line.partition(": ")[2] for block in blocks for line in block.splitlines()]
    quoted = {
        word for entry in re.findall(r"^- ((?:`[^`]+`,? ?)+)", text, re.MULTILINE) for word in INLINE.findall(entry)
    }
    reasons = [one for one in quoted if " " in one and not any(word in one for word in OF_S5CMD)]
    values = "|".join([r"\d{2,}", *Verdict])
    return lines + sorted(re.sub(rf"\b({values})\b", "…", reason) for reason in reasons)


@cache
def all_text_in_code() -> str:
    """Return all these texts as one, for looking up many of them."""
    return "\0".join(texts_in_code())


@cache
def texts_in_code() -> list[str]:
    """Return every text of the package's code, implicit joins undone, ``…`` where a value is put in."""
    found = []
    for path in (REPOSITORY / "crypto_archive").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "explain_os_errors"
                and (isinstance(node.args[0], ast.Constant))
            ):
                found.append(f"Cannot {node.args[0].value} …: …")
    return found


@pytest.mark.parametrize("message", shown_messages())
def test_shown_messages_are_those_of_the_code(message: str) -> None:
    pieces = [piece.strip(" :,;") for piece in message.split("…") if len(piece.strip(" :,;")) > 3]
    assert pieces
    for piece in pieces:
        assert piece in all_text_in_code(), piece


def test_enough_messages_can_be_looked_up() -> None:
    assert len(shown_messages()) > 40


def test_limits_in_the_reasons_of_failures_are_the_defaults() -> None:
    defaults = Fetching()
    assert f"nothing arrived for {defaults.stall_seconds:g} seconds" in text_of("troubleshooting.md")
    assert f"not done within {defaults.timeout_seconds:g} seconds" in text_of("troubleshooting.md")
    assert f"default {defaults.stall_seconds:g}" in row_of(text_of("presets.md"), f"{PREFIX}STALL_SECONDS")[1]


# Exit codes, outcomes, verdicts, statuses


def test_exit_codes_stand_in_their_table() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z]+) \|", text_of("exit-codes.md"), re.MULTILINE)
    assert {int(code): name for code, name in rows} == {int(code): code.name for code in ExitCode}


def test_words_of_the_contract_are_explained() -> None:
    explained = first_cells(text_of("commands.md"))
    assert {str(outcome) for outcome in Outcome} <= explained
    assert {str(verdict) for verdict in Verdict} <= explained
    assert {str(status) for status in Status} <= first_cells(text_of("matrix.md"))
    assert {str(absence) for absence in Absence} <= first_cells(text_of("report.md"))


def test_every_row_of_the_matrix_is_in_its_document() -> None:
    shown = text_of("matrix.md").partition("<!-- generated: matrix -->")[2].partition("<!-- end: matrix -->")[0]
    for market, *rows in (part.splitlines() for part in shown.split("### ")[1:]):
        of_market = [row for row in load_matrix().rows if row.market == market]
        for pattern in (r"\| `(\w+)` \|", r"- `(\w+)`: .*`data/"):
            found = [match[1] for line in rows if (match := re.match(pattern, line))]
            assert found == [row.data_type for row in of_market]


def test_symbol_forms_are_those_of_the_matrix() -> None:
    matrix = load_matrix()
    rows = re.findall(r"^\| (\w+) `(\w+)` \| (`.*`) \| `(\w+)` \|$", text_of("matrix.md"), re.MULTILINE)
    with_rules = [(row.market, row.data_type) for row in matrix.rows if row.symbol_rules]
    assert [(market, data_type) for market, data_type, _, _ in rows] == with_rules
    for market, data_type, asked, in_key in rows:
        row = next(row for row in matrix.rows if (row.market, row.data_type) == (market, data_type))
        assert {row.symbol(name) for name in INLINE.findall(asked)} == {in_key}


# Presets and environment


def test_every_preset_field_has_its_row() -> None:
    section = text_of("presets.md").partition("## Fields")[2].partition("###")[0]
    named = {name for name in first_cells(section) if re.fullmatch("[a-z0-9_]+", name)}
    assert named == set(preset_fields())


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("output_directory", "output"),
        (
            "partition",
            Selection(
                (),
            ).partition,
        ),
        ("discover", Request(Selection(()), Path()).discovery),
        ("batch_size", Fetching().batch_size),
        ("enable_resume", Fetching().resume),
        ("force_redownload", Fetching().force),
        ("download_checksum", Fetching().download_checksum),
        ("timeout_seconds", f"{Fetching().timeout_seconds:g}"),
    ],
)
def test_defaults_are_true(field: str, default: object) -> None:
    said = row_of(text_of("presets.md"), field)[2]
    assert said == f"`{str(default).lower() if isinstance(default, bool) else default}`"


def test_how_many_processes_run_where_nothing_is_said_is_true() -> None:
    assert Fetching().jobs is None
    assert row_of(text_of("presets.md"), "max_parallel_downloads")[2].endswith(f" up to {LANES}")


@pytest.mark.parametrize(
    "field", [name for name in preset_fields() if re.search(r"\d to \d", row_of(text_of("presets.md"), name)[1])]
)
def test_ranges_are_true(field: str) -> None:
    low, high = map(int, row_of(text_of("presets.md"), field)[1].split(" to "))
    for value in (low, high):
        assert PRESET({field: value}) == {field: value}
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=r"is too (small|large)"):
            PRESET({field: value})


def test_every_choice_of_a_field_is_named() -> None:
    for name in ("partition", "discover", "contract"):
        assert INLINE.findall(row_of(text_of("presets.md"), name)[1]) == FIELDS[name].kind.schema["enum"]


def test_environment_variables_stand_in_their_table() -> None:
    named = {name for name in first_cells(text_of("presets.md")) if name.startswith(PREFIX)}
    assert named == {PREFIX + field.upper() for field in ENVIRONMENT_FIELDS}


@pytest.mark.parametrize(
    "names",
    [
        ("symbols", "--symbol"),
        ("date_range", "--start", "--end", "--last"),
        ("output_directory", "--output", "CRYPTO_ARCHIVE_OUTPUT_DIRECTORY"),
        ("max_parallel_downloads", "--jobs", "CRYPTO_ARCHIVE_MAX_PARALLEL_DOWNLOADS"),
        ("force_redownload", "--force"),
        ("timeout_seconds", "CRYPTO_ARCHIVE_TIMEOUT_SECONDS"),
    ],
)
def test_each_setting_has_its_field_option_and_variable_in_one_cell(names: tuple[str, ...]) -> None:
    assert INLINE.findall(row_of(text_of("presets.md"), names[0])[0]) == [*names]


def test_s5cmd_options_are_those_that_are_taken() -> None:
    from crypto_archive.config.values import _ALLOWED

    section = text_of("presets.md").partition("### Options for s5cmd")[2].partition("Without them")[0]
    for option in _ALLOWED:
        assert f"`{option}`" in section, option


def shown_presets() -> list[tuple[str, str]]:
    presets = []
    for path in (README, DOCS / "presets.md"):
        for kind, content in re.findall(r"^```(yaml|json)\n(.*?)^```", TEXTS[path], re.DOTALL | re.MULTILINE):
            presets.append((kind, content))
    return presets


@pytest.mark.parametrize("shown", shown_presets(), ids=lambda shown: shown[1][:30])
def test_shown_presets_load(shown: tuple[str, str], tmp_path: Path) -> None:
    kind, content = shown
    assert yaml.safe_load(content)
    path = tmp_path / f"shown.{kind}"
    path.write_text(content, encoding="utf-8")
    assert load_run_config([str(path)], {}, today=TODAY).presets == (str(path),)


# Reports


def keys_of(schema: dict[str, Any]) -> set[str]:
    """Return the keys of a schema's own objects, those of free mappings left out."""
    found = set(schema.get("properties", {}))
    for inner in schema.get("properties", {}).values():
        found |= keys_of(inner) | keys_of(inner.get("items", {}))
    return found


@pytest.mark.parametrize(
    "name",
    ["report.schema.json", "verify.schema.json", "coverage.schema.json", "doctor.schema.json", "status.schema.json"],
)
def test_every_key_of_the_reports_is_explained(name: str) -> None:
    schema = json.loads((DOCS / name).read_text(encoding="utf-8"))
    said = {word.rpartition(".")[2] for text in ("report.md", "commands.md") for word in INLINE.findall(text_of(text))}
    markets = {str(row.market) for row in load_matrix().rows}
    assert keys_of(schema) - said - markets == set()


def test_every_event_of_the_journal_is_in_its_table() -> None:
    left_out = {events.BytesArrived, events.Comparing, events.Planning}
    kinds = [kind for kind in get_args(events.Event) if kind not in left_out]
    for kind in kinds:
        words = re.findall("[A-Z][a-z]+", kind.__name__)
        cells = row_of(text_of("report.md"), "-".join(words).lower())
        for field in {"keys", "sizes"} if kind is events.ObjectsKept else signature(kind).parameters:
            named = "key" if field == "object" else field
            assert field == "planned" or f"`{named}`" in cells[1], (kind, field)


def test_keys_of_plans_are_explained(tmp_path: Path) -> None:
    options = {"markets": ["spot"], "symbols": ["BTCUSDT"], "data_types": ["trades"], "discover": "calendar",
               "last": "1d", "output_directory": str(tmp_path)}  # fmt: skip
    said = set(INLINE.findall(text_of("report.md")))
    with plan(load_run_config([], options, today=TODAY), today=TODAY) as made:
        (line,) = made.lines()
        document = made.document()
    groups = document["by_market_and_type"]
    assert isinstance(groups, list)
    budget = document["budget"]
    assert isinstance(budget, dict)
    assert {*document, *groups[0], *budget, *json.loads(line)} <= said


# Links


def links(text: str) -> list[tuple[str, str]]:
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.findall(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)", without_code)


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_links_resolve(path: Path) -> None:
    for _, target in links(TEXTS[path]):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), target


# Length


WORDS = 22_500
"""The most words of all pages for users, tables and code included. Cut something before you raise it."""


def test_the_pages_for_users_stay_short() -> None:
    words = {path.name: len(text.split()) for path, text in TEXTS.items() if path.name != "architecture.md"}
    longest = ", ".join(f"{name} {words[name]:,}" for name in sorted(words, key=words.__getitem__, reverse=True))
    assert sum(words.values()) <= WORDS, f"{sum(words.values()):,} words: {longest}"


# Architecture


def test_layers_are_those_of_the_contract() -> None:
    contract = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").partition("layers = [")[2].partition("]")[0]
    layers = re.findall(r'"([^"]+)"', contract)
    assert "```text\n" + "\n".join(layers) + "\n```" in text_of("architecture.md")


def test_every_module_is_in_the_table_of_rooms() -> None:
    table = text_of("architecture.md").partition("## The chain")[2].partition("## The path of one object")[0]
    named = {word.rstrip("/") for word in INLINE.findall(table)}
    modules = {path.stem for path in (REPOSITORY / "crypto_archive").rglob("*.py")}
    rooms = {path.parent.name for path in (REPOSITORY / "crypto_archive").rglob("__init__.py")}
    assert (modules | rooms) - {"__init__", "__main__", "crypto_archive"} <= named


def test_every_function_of_the_architecture_exists() -> None:
    rooms = "|".join(path.parent.name for path in (REPOSITORY / "crypto_archive").glob("*/__init__.py"))
    modules = "|".join(path.stem for path in (REPOSITORY / "crypto_archive").glob("[a-z]*.py"))
    names = re.findall(rf"`((?:(?:{rooms})\.[a-z_0-9]+|{modules})\.(?!py\b)\w+(?:\.\w+)?)", text_of("architecture.md"))
    assert len(names) > 30
    for name in names:
        assert pkgutil.resolve_name(f"crypto_archive.{name}") is not None
