"""The public face: what it hands on, and that it costs nothing before it is used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import crypto_archive

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


def test_help_loads_nothing_heavy() -> None:
    """Of the package only the command line, errors and text, and no heavy library: help should appear immediately."""
    program = (
        "import sys; sys.argv = ['crypto-archive', '--help']\n"
        "from crypto_archive.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "crypto_archive.cli.app" in loaded
    assert not loaded & {"pydantic", "sqlite3", "prefect", "dask", "distributed"}
    ours = {name for name in loaded if name.startswith("crypto_archive.") and not name.startswith("crypto_archive.cli")}
    assert ours == {"crypto_archive.__main__", "crypto_archive.errors", "crypto_archive.text", *NAMES_OF_VARIABLES}


def test_the_page_explains_every_name_in_one_section_and_uses_it_in_an_example() -> None:
    page = (SOURCE.parents[1] / "docs" / "library.md").read_text("utf-8")
    names = set(crypto_archive.__all__) - {"__version__"}
    explained = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^- (`\w+`.*?): ", page, re.MULTILINE)))
    assert sorted(name for name in explained if name in names) == sorted(names)
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", examples)] == []
