"""Finds, reads and parses matrix files."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from crypto_archive.bundled import MATRIX_FILE, data_folder
from crypto_archive.errors import ConfigError, Problem
from crypto_archive.matrix.document import parse_matrix
from crypto_archive.matrix.seed_form import is_seed_form, parse_seed_form

if TYPE_CHECKING:
    from crypto_archive.matrix.types import Matrix

SEED_FILE_NAME = "enhanced_binance_archive_matrix.json"
"""The file that older presets name; where it is not to be found, the bundled matrix stands in for it."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times faster, but not everywhere


def load_matrix(source: str | Path | None = None) -> Matrix:
    """Return a matrix, checked.

    Args:
        source: A file of our own form (YAML or JSON) or of the older JSON form with ``availability_matrix``;
            None for the matrix that comes with the package.

    Raises:
        ConfigError: The file is not there, cannot be read, or is wrong; all its problems at once.
    """
    if source is None:
        return _bundled()
    path = Path(source).expanduser()
    if path.exists():
        return _load(path)
    if path.name == SEED_FILE_NAME and not path.is_absolute():
        return _bundled()
    raise ConfigError(
        [Problem("Archive matrix file not found", str(source))],
        hint="Correct the path, or leave out --matrix and matrix_path to use the matrix that comes with the package.",
    )


@cache
def _bundled() -> Matrix:
    return _load(data_folder("matrix") / MATRIX_FILE)


def _load(path: Path) -> Matrix:
    document = _read(path)
    if not isinstance(document, dict) or not ("rows" in document or is_seed_form(document)):
        raise ConfigError(
            [Problem(str(path), "this is no matrix file: it has neither 'rows' nor 'availability_matrix'")],
            hint="`crypto-archive matrix show --format yaml` prints one to start from.",
        )
    if is_seed_form(document):
        return parse_seed_form(document, str(path), _bundled())
    return parse_matrix(document, str(path))


def _read(path: Path) -> Any:
    """Return what a YAML or JSON file holds."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.load(text, _Loader)
    except OSError as error:
        raise ConfigError([Problem(str(path), f"cannot be read: {error.strerror or error}")]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(path), "cannot be read: it is not UTF-8 text")]) from error
    except json.JSONDecodeError as error:
        place = f"{path} line {error.lineno}"
        raise ConfigError([Problem(place, f"is not JSON: {error.msg} in column {error.colno}")]) from error
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError([Problem(f"{path}{line}", f"is not YAML: {error.problem}")]) from error
    except yaml.YAMLError as error:
        raise ConfigError([Problem(str(path), f"is not YAML: {error}")]) from error
    except ValueError as error:
        # YAML reads 2025-02-30 as a date and stumbles over it itself.
        raise ConfigError([Problem(str(path), f"holds a value that cannot be: {error}")]) from error
