"""Presets by name: where they are found, what they are for, and how a new one is written."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from crypto_archive.config.document import Document, read_document
from crypto_archive.config.fields import FIELDS, left_out, variables
from crypto_archive.config.preset_files import SUFFIXES, bundled_presets, expanded, preset_folder, presets_in
from crypto_archive.config.run_config import SELECTION
from crypto_archive.config.schema import preset_schema
from crypto_archive.errors import ConfigError, Problem, UsageError, nearest
from crypto_archive.files import atomic_write, data_folder, explain_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class PresetInfo:
    """A preset that can be used by its name.

    Attributes:
        name: Its name.
        description: What it is for, in its own words; what is wrong with it where it cannot be read.
        path: The file.
        overlay: Whether it only says how to fetch, and so wants to be laid over another one.
        bundled: Whether it came with the package.
        hides: Whether it is the user's own and takes the place of a bundled one.
    """

    name: str
    description: str
    path: Path
    overlay: bool
    bundled: bool
    hides: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """The file that a preset's name or path means.

    Attributes:
        label: What to call it in messages.
        path: The file.
        hides: Whether it takes the place of a bundled preset of the same name.
    """

    label: str
    path: Path
    hides: bool = False


def list_presets() -> tuple[PresetInfo, ...]:
    """Return all presets that have a name: the bundled ones first, then the user's own.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    bundled, own = bundled_presets(), presets_in(user_folder())
    kept = [_info(name, path, bundled=True, hides=False) for name, path in bundled.items() if name not in own]
    kept += [_info(name, path, bundled=False, hides=name in bundled) for name, path in own.items()]
    return tuple(kept)


def presets_document(presets: Iterable[PresetInfo]) -> dict[str, object]:
    """Return presets as a JSON document."""
    return {"schema_version": 1, "presets": [{**asdict(one), "path": str(one.path)} for one in presets]}


def user_folder() -> Path:
    """Return the folder of the user's own presets; it need not exist.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    environment, dotenv = variables()
    return preset_folder((dotenv | environment).get("preset_dir"))


def find_preset(wanted: str, folder: Path, place: str) -> Found:
    """Return the file that ``wanted`` means.

    What has a slash or ends in .yaml, .yml or .json is a path. All else is a name: the user's own preset in
    ``folder`` if there is one, else the bundled one, else a file of that name here.

    Args:
        wanted: The name or path.
        folder: Where the user's own presets are.
        place: Where it was asked for, for people.

    Raises:
        ConfigError: There is no such file, or no such name.
    """
    path = expanded(Path(wanted))
    bundled, own = bundled_presets(), presets_in(folder)
    if _is_path(wanted):
        return _at_path(wanted, path, {**bundled, **own}, place)
    if wanted in own:
        return Found(str(own[wanted]), own[wanted], hides=wanted in bundled)
    if wanted in bundled:
        return Found(bundled[wanted].name, bundled[wanted])
    if _is(path, Path.is_file):
        return Found(wanted, path)
    names = tuple({**bundled, **own})
    problem = Problem(place, f"unknown preset {wanted!r}", names, nearest(wanted, names))
    raise ConfigError([problem], hint=f"Own presets are YAML or JSON files in {folder}, or any path with a suffix.")


def _is_path(wanted: str) -> bool:
    return Path(wanted).suffix.lower() in SUFFIXES or "/" in wanted or "\\" in wanted


def _at_path(wanted: str, path: Path, named: Mapping[str, Path], place: str) -> Found:
    if _is(path, Path.is_file):
        return Found(wanted, path)
    reason = "it is a folder" if _is(path, Path.is_dir) else "there is no such file"
    name = Path(wanted).stem
    near = name if name in named else None
    raise ConfigError([Problem(place, f"Preset file not found: {wanted} ({reason})", nearest=near)])


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # a name too long, a folder that may not be looked into
        return False


def _info(name: str, path: Path, *, bundled: bool, hides: bool) -> PresetInfo:
    try:
        document = read_document(path, path.name)
    except ConfigError as error:
        return PresetInfo(name, str(error.problems[0]), path, overlay=False, bundled=bundled, hides=hides)
    return PresetInfo(name, _description(document), path, _is_overlay(document), bundled, hides)


def _description(document: Document) -> str:
    text = document.values.get("description")
    return " ".join(text.split()) if isinstance(text, str) else ""


def _is_overlay(document: Document) -> bool:
    return all(document.values.get(field) is None for field in SELECTION)


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
    hint = "Make the folder writable for you, or name another one with CRYPTO_ARCHIVE_PRESET_DIR."
    with explain_os_errors("write", path, hint=hint):
        schema = folder / SCHEMA_FILE
        schema.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(schema) as file:
            file.write(json.dumps(preset_schema(), indent=2, ensure_ascii=False) + "\n")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(f"# yaml-language-server: $schema={SCHEMA_FILE}\n{text}")
        except FileExistsError:
            raise _taken(name, path) from None
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
