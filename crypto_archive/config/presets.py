"""Presets by name: find them, list them, create one."""

from __future__ import annotations

import json
import re
import textwrap
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from crypto_archive.catalog.document import LARGEST_BYTES, read_document
from crypto_archive.config.fields import FIELDS, PRESET_FIELDS, SELECTION, variables
from crypto_archive.config.preset_files import SUFFIXES, bundled_presets, preset_folder, presets_in
from crypto_archive.config.values import split_words
from crypto_archive.errors import ConfigError, Problem, UsageError, nearest
from crypto_archive.files import atomic_write, expanded, explain_os_errors, read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class PresetInfo(NamedTuple):
    """A preset that can be used by its name.

    Attributes:
        name: Its name.
        description: Its own description; what is wrong with it where it cannot be read.
        path: The file.
        overlay: Whether it only says how to fetch, to be combined with another preset.
        bundled: Whether it comes with the package.
        hides: Whether it is the user's own and shadows a bundled one.
    """

    name: str
    description: str
    path: Path
    overlay: bool
    bundled: bool
    hides: bool = False


class Found(NamedTuple):
    """The file that a preset's name or path means.

    Attributes:
        label: What messages call it.
        path: The file.
        hides: Whether it shadows a bundled preset of the same name.
        bundled: Whether it comes with the package.
    """

    label: str
    path: Path
    hides: bool = False
    bundled: bool = False


def list_presets() -> tuple[PresetInfo, ...]:
    """Return all presets that have a name: the bundled ones first, then the user's own.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    bundled, own = bundled_presets(), presets_in(user_folder())
    kept = [_info(name, path, bundled=True, hides=False) for name, path in bundled.items() if name not in own]
    kept += [_info(name, path, bundled=False, hides=name in bundled) for name, path in own.items()]
    return tuple(kept)


def _info(name: str, path: Path, *, bundled: bool, hides: bool) -> PresetInfo:
    try:
        values = read_document(path, path.name).values
    except ConfigError as error:
        return PresetInfo(name, str(error.problems[0]), path, overlay=False, bundled=bundled, hides=hides)
    text = values.get("description")
    description = " ".join(text.split()) if isinstance(text, str) else ""
    overlay = all(values.get(field) is None for field in SELECTION)
    return PresetInfo(name, description, path, overlay, bundled, hides)


def presets_document(presets: Iterable[PresetInfo]) -> dict[str, object]:
    """Return presets as a JSON document."""
    return {"schema_version": 1, "presets": [{**one._asdict(), "path": str(one.path)} for one in presets]}


def user_folder() -> Path:
    """Return the folder of the user's own presets; it need not exist.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    environment, dotenv = variables()
    return preset_folder((dotenv | environment).get("preset_dir"))


def preset_names(texts: Iterable[str]) -> list[str]:
    """Return presets one by one: ``research,low-memory`` is two of them, unless a file has that name."""
    return [name for text in texts for name in ([text] if _is_file(text) else split_words(text))]


def _is_file(text: str) -> bool:
    with suppress(OSError, ValueError):  # too long for a path, or with a null in it
        return Path(text).is_file()
    return False


def find_preset(preset: str, folder: Path, place: str) -> Found:
    """Return the file that a name or path means.

    A text with a slash, or that ends in .yaml, .yml or .json, is a path. Anything else is a name: the user's own
    preset in ``folder`` if there is one, else the bundled one, else a file of that name in the current folder.

    Raises:
        ConfigError: The file or name does not exist; ``place`` says where it was asked for.
    """
    path = expanded(Path(preset))
    bundled, own = bundled_presets(), presets_in(folder)
    if path.suffix.lower() in SUFFIXES or "/" in preset or "\\" in preset:
        if _is(path, Path.is_file):
            return Found(preset, path)
        special = "it is not a regular file" if _is(path, Path.exists) else "no such file"
        reason = "it is a folder" if _is(path, Path.is_dir) else special
        name = path.stem if path.stem in {**bundled, **own} else None
        raise ConfigError([Problem(place, f"Preset file not found: {preset} ({reason})", nearest=name)])
    if preset in own:
        return Found(str(own[preset]), own[preset], hides=preset in bundled)
    if preset in bundled:
        return Found(bundled[preset].name, bundled[preset], bundled=True)
    if _is(path, Path.is_file):
        return Found(preset, path)
    names = tuple({**bundled, **own})
    raise ConfigError(
        [Problem(place, f"unknown preset {preset!r}", names, nearest(preset, names))],
        hint=f"Save your own presets to {folder}, or name a preset by its path.",
    )


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # a name too long, a folder without permission
        return False


SCHEMA_FILE = "schema/preset.schema.json"
"""Where the schema is, relative to the presets; in a folder, since a file next to them would count as a preset."""

_NAME = re.compile(r"(?![.-])[^\s/\\:\0-\x1f]{1,100}")
_MODELINE = re.compile(r"^# yaml-language-server:.*\n", re.MULTILINE)
_LONGEST_LINE = 110


def new_preset(name: str, *, start_from: str | None = None, place: str = "name") -> Path:
    """Write a new preset into the user's folder, with the schema for editors; return its path.

    Args:
        name: Its name.
        start_from: A preset, by name or path, to copy; None for all fields, commented out.
        place: What the caller calls ``start_from``, for the messages.

    Raises:
        UsageError: The name is not valid or taken, would shadow a bundled preset, or ``start_from`` does not exist.
        EnvironmentFailure: It cannot be written.
    """
    from crypto_archive.config.schema import preset_schema

    folder = user_folder()
    path = folder / f"{name}.yaml"
    if not _NAME.fullmatch(name) or name.lower().endswith(SUFFIXES):
        raise ConfigError(
            [Problem("name", f"{name!r} is not a valid name for a preset")],
            hint=f"Choose a name such as my-choice, without spaces and suffix; the file is saved to {folder}.",
        )
    if existing := presets_in(folder).get(name):
        raise _exists(name, existing)
    if start_from != name and name in bundled_presets():
        raise UsageError(
            f"{name!r} would shadow the bundled preset of that name",
            hint=f"Choose another name, or start with a copy: `crypto-archive preset new {name} --from {name}`.",
        )
    text = _template(name) if start_from is None else _copy(find_preset(start_from, folder, place), name)
    hint = "Make the folder writable, or choose another one with CRYPTO_ARCHIVE_PRESET_DIR."
    with explain_os_errors("write", path, hint=hint):
        schema = folder / SCHEMA_FILE
        schema.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(schema) as file:
            file.write(json.dumps(preset_schema(), indent=2, ensure_ascii=False) + "\n")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}")
        except FileExistsError:
            raise _exists(name, path) from None
    return path


def _exists(name: str, path: Path) -> UsageError:
    return UsageError(f"The preset {name!r} already exists: {path}", hint="Choose another name, or edit that file.")


def _template(name: str) -> str:
    """Return a preset with every field in it, explained and commented out."""
    lines = [
        f"# Try it:  crypto-archive plan --preset {name}",
        "# Remove the # before a field to set it; the values shown are examples. A field that is left out has its",
        "# default. `crypto-archive preset check` lists every problem.",
        f"description: What {name} is for",
    ]
    fields = [FIELDS[field] for field in PRESET_FIELDS if field not in {"description", "workflow_type"}]
    for heading, selects in (("What to select", True), ("How to fetch it", False)):
        lines += ["", f"# ---- {heading}"]
        for field in fields:
            if field.selects is selects:
                meaning = f"# {field.meaning} (default: {field.left_out})"
                lines += ["", *textwrap.wrap(meaning, _LONGEST_LINE, subsequent_indent="# ", break_on_hyphens=False)]
                lines.append(f"#{field.name}: {field.example}")
    return "\n".join(lines) + "\n"


def _copy(found: Found, name: str) -> str:
    """Return the text of another preset, its own name in the comments replaced; JSON becomes YAML."""
    document = read_document(found.path, found.label)
    if found.path.suffix.lower() == ".json":
        return yaml.safe_dump(dict(document.values), sort_keys=False, allow_unicode=True)
    text = _MODELINE.sub("", read_regular(found.path, LARGEST_BYTES).decode("utf-8-sig"))
    return text.replace(f"--preset {found.path.stem}\n", f"--preset {name}\n")
