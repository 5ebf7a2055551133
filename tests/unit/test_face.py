"""The public face: what it hands on, and that it costs nothing before it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crypto_archive
from crypto_archive.errors import ExitCode

SOURCE = Path(crypto_archive.__file__)


def test_every_name_is_there() -> None:
    for name in crypto_archive.__all__:
        assert getattr(crypto_archive, name) is not None
    assert set(crypto_archive.__all__) <= set(dir(crypto_archive))


def test_type_checkers_see_the_names_that_are_there() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"))
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {
        alias.asname: f"{node.module}.{alias.name}"
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    handed_on = {name: f"{home}.{name}" for name, home in crypto_archive._HOME.items()}
    assert imported == handed_on
    assert SOURCE.with_name("py.typed").is_file()


def test_the_function_plan_is_not_hidden_by_the_room_plan() -> None:
    program = (
        "from crypto_archive import collect; import crypto_archive.plan.decide\n"
        "from crypto_archive import plan; plan.__name__"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert callable(crypto_archive.plan)


def test_every_name_has_a_docstring_with_an_example() -> None:
    lacking = [
        name for name in crypto_archive.__all__ if "Example:" not in (getattr(crypto_archive, name).__doc__ or "")
    ]
    assert lacking == ["__version__", "Event"]
    assert len(crypto_archive.__all__) <= 31


def test_an_unknown_name_is_an_error_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'crypto_archive' has no attribute 'colect'"):
        crypto_archive.colect  # noqa: B018
    with pytest.raises(ImportError):
        exec("from crypto_archive import colect")


def test_importing_it_loads_nothing() -> None:
    program = "import sys, crypto_archive; print(*sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = [name for name in said.split() if name.startswith("crypto_archive")]
    assert loaded == ["crypto_archive"]


NAMES_OF_VARIABLES = ("crypto_archive.config", "crypto_archive.config.environment")


HEAVY = {"asyncio", "dask", "distributed", "pandas", "prefect", "pydantic_settings"}


def loaded_by(*arguments: str, folder: Path, exit_code: ExitCode = ExitCode.OK) -> set[str]:
    """Run a command in an empty folder; return the modules that it has loaded in the end."""
    program = (
        f"import sys; sys.argv = {['crypto-archive', *arguments]}\n"
        "from crypto_archive.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == exit_code, done.stderr
    loaded = set(done.stderr.split())
    assert "crypto_archive.cli.app" in loaded
    assert not loaded & HEAVY
    return loaded


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("collect", "--help"), ("matrix",)])
def test_help_loads_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Of the package only the command line, errors and text, and no heavy library: help should appear immediately."""
    loaded = loaded_by(*arguments, *(["--help"] if arguments == ("matrix",) else []), folder=tmp_path)
    assert not loaded & {"pydantic", "rich", "sqlite3", "yaml"}
    ours = {name for name in loaded if name.startswith("crypto_archive.") and not name.startswith("crypto_archive.cli")}
    assert ours == {"crypto_archive.__main__", "crypto_archive.errors", "crypto_archive.text", *NAMES_OF_VARIABLES}


def test_a_command_loads_no_other_command(tmp_path: Path) -> None:
    common = {"app", "help", "process"}
    for arguments, needed in {"--version": set(), "collect --help": {"collect", "options"}}.items():
        loaded = loaded_by(*arguments.split(), folder=tmp_path)
        ours = {name.removeprefix("crypto_archive.cli.") for name in loaded if name.startswith("crypto_archive.cli.")}
        assert ours == common | needed


def test_a_plan_from_the_calendar_loads_neither_s5cmd_nor_locks_nor_tables(tmp_path: Path) -> None:
    wanted = "-m spot -t klines -s BTCUSDT -i 1h --last 3d --discover calendar"
    loaded = loaded_by("plan", *wanted.split(), "--json", folder=tmp_path)
    assert not loaded & {
        "filelock",
        "importlib.metadata",
        "logging",
        "psutil",
        "pydantic",
        "rich",
        "socket",
        "tenacity",
    }
    rooms = {name.split(".")[1] for name in loaded if name.startswith("crypto_archive.")}
    assert not rooms & {"flows", "transfer"}
    ours = {name.removeprefix("crypto_archive.") for name in loaded}
    assert {name for name in ours if name.startswith("s5cmd.")} == {"s5cmd.copies", "s5cmd.runfile"}
    assert not ours & {"config.schema", "jobs.doctor", "jobs.record", "plan.listed", "root.listing", "render.console"}


def test_no_command_loads_pydantic_while_values_are_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer to load than a command takes; of Typer's values, only numbers and paths go through it."""
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENDPOINT_URL", "http://127.0.0.1:9")
    wanted = "--preset research -m spot -t klines -s BTCUSDT -i 1h --start 2010-01-01 --end 2010-01-01 -v --output here"
    for command in ("collect", "plan", "verify"):
        arguments = f"{command} {wanted} --discover calendar --json".split()
        loaded = loaded_by(*arguments, folder=tmp_path, exit_code=ExitCode.PARTIAL)
        assert not loaded & {"asyncio", "psutil", "pydantic", "rich", "tenacity"}
    assert (tmp_path / "here" / ".crypto-archive").is_dir()
    assert not loaded_by("status", "--json", "--output", "here", folder=tmp_path) & {"pydantic", "rich", "tenacity"}


def test_the_page_explains_every_name_in_one_section_and_uses_it_in_an_example() -> None:
    page = (SOURCE.parents[1] / "docs" / "library.md").read_text("utf-8")
    names = set(crypto_archive.__all__) - {"__version__"}
    explained = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^- (`\w+`.*?): ", page, re.MULTILINE)))
    assert sorted(name for name in explained if name in names) == sorted(names)
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", examples)] == []
