"""A new preset in the user's folder: every field in it, commented out, with what it means; or a copy of another one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml

from crypto_archive.bundled import data_folder
from crypto_archive.config.document import read_document
from crypto_archive.config.fields import FIELDS, left_out
from crypto_archive.config.preset import SELECTION
from crypto_archive.config.schema import preset_schema
from crypto_archive.config.sources import find_preset, user_folder
from crypto_archive.errors import ConfigError, EnvironmentFailure, Problem, UsageError
from crypto_archive.preset_files import SUFFIXES, presets_in

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.config.sources import Found

SCHEMA_FILE = "schema/preset.schema.json"
"""Where the schema lies, as seen from the presets; in a folder, since a file beside them would be taken for one."""

_NAME = re.compile(r"(?![.-])[^\s/\\:\0-\x1f]{1,100}")
_MODELINE = re.compile(r"^# yaml-language-server:.*\n", re.MULTILINE)
_LONGEST_LINE = 110


def new_preset(name: str, *, start_from: str | None = None, named: str = "name") -> Path:
    """Write a new preset into the user's folder, and the schema for editors beside it; return its path.

    Args:
        name: What it is to be called.
        start_from: A preset, by name or path, that it begins as a copy of; None for one with all fields commented out.
        named: What the caller calls ``start_from``, for the messages.

    Raises:
        UsageError: It cannot be called so, there is one of that name, it would hide a bundled one without being a copy
            of it, or there is no such preset to start from.
        EnvironmentFailure: It cannot be written.
    """
    folder = user_folder()
    _refuse_name(name, folder)
    if start_from != name:
        _refuse_to_hide(name)
    text = _blank(name) if start_from is None else _copy(find_preset(start_from, folder, named), name)
    path = folder / f"{name}.yaml"
    try:
        schema = folder / SCHEMA_FILE
        schema.parent.mkdir(parents=True, exist_ok=True)
        schema.write_text(json.dumps(preset_schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}")
    except FileExistsError:
        raise _taken(name, path) from None
    except OSError as error:
        raise EnvironmentFailure(
            f"The preset cannot be written to {path}: {error.strerror or error}",
            hint="Make the folder writable for you, or name another one with CRYPTO_ARCHIVE_PRESET_DIR.",
        ) from error
    return path


def _refuse_name(name: str, folder: Path) -> None:
    if not _NAME.fullmatch(name) or name.lower().endswith(SUFFIXES):
        raise ConfigError(
            [Problem("name", f"{name!r} cannot be the name of a preset")],
            hint=f"Write a name such as my-choice, without spaces and suffix; the file goes to {folder}.",
        )
    if there := presets_in(folder).get(name):
        raise _taken(name, there)


def _refuse_to_hide(name: str) -> None:
    """Refuse a preset that would take the place of a bundled one, unless it begins as a copy of that."""
    if name in presets_in(data_folder("configs")):
        raise UsageError(
            f"There is a bundled preset {name!r}, which yours would hide",
            hint=f"Choose another name, or begin with a copy: `crypto-archive preset new {name} --from {name}`.",
        )


def _taken(name: str, path: Path) -> UsageError:
    return UsageError(
        f"There is a preset {name!r} already: {path}", hint="Choose another name, or change that file; nothing is lost."
    )


def _blank(name: str) -> str:
    lines = [
        f"# Try it:  crypto-archive plan --preset {name}",
        "# Take away the # before a field to set it; what it says now is an example. A field that is left out has its",
        "# default. `crypto-archive preset check` says whether all is right.",
        f"description: What {name} is for",
    ]
    for heading, wanted in (("What is wanted", True), ("How it is fetched", False)):
        lines += ["", f"# ---- {heading}"]
        for field, told in FIELDS.items():
            if (field in SELECTION) is wanted and field not in {"description", "workflow_type"}:
                meaning = _comment(f"{told.meaning} (default: {left_out(field)})")
                lines += ["", *meaning, f"#{field}: {told.example}"]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > _LONGEST_LINE:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line]


def _copy(found: Found, name: str) -> str:
    """Return the text of another preset, its own name in the comments replaced; JSON becomes YAML."""
    document = read_document(found.path, found.label)
    if found.path.suffix.lower() == ".json":
        return yaml.safe_dump(dict(document.values), sort_keys=False, allow_unicode=True)
    text = _MODELINE.sub("", found.path.read_text(encoding="utf-8-sig"))
    return text.replace(f"--preset {found.path.stem}\n", f"--preset {name}\n")
