"""Which files are presets, by name: the bundled ones and the user's own. Finds them without reading any."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.files import data_folder, expanded

if TYPE_CHECKING:
    from collections.abc import Mapping

SUFFIXES = (".yaml", ".yml", ".json")


def preset_folder(chosen: Path | str | None) -> Path:
    """Return the folder of the user's own presets: the chosen one, or the platform's usual one."""
    if chosen:
        return expanded(Path(chosen))
    return _configuration_home() / "crypto-archive" / "presets"


def bundled_presets() -> Mapping[str, Path]:
    """Return the presets that come with the package, by name."""
    return presets_in(data_folder("configs"))


def presets_in(folder: Path) -> Mapping[str, Path]:
    """Return the presets of a folder by name; of one name with several suffixes, YAML wins over JSON."""
    try:
        paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file()]
    except OSError:  # the folder does not exist or cannot be read
        return {}
    paths.sort(key=lambda path: (path.stem, -SUFFIXES.index(path.suffix.lower())))
    return {path.stem: path for path in paths}


def _configuration_home() -> Path:
    if xdg := os.environ.get("XDG_CONFIG_HOME"):
        return Path(xdg)
    if sys.platform == "darwin":
        return expanded(Path("~/Library/Application Support"))
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or expanded(Path("~/AppData/Roaming")))
    return expanded(Path("~/.config"))
