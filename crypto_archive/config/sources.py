"""Where presets are found: bundled with the package, in the user's configuration folder, or at a path."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.config.document import Document, read_document
from crypto_archive.config.preset import SELECTION
from crypto_archive.config.settings import variables
from crypto_archive.errors import ConfigError, Problem, nearest
from crypto_archive.preset_files import SUFFIXES, bundled_presets, expanded, preset_folder, presets_in

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
