"""Finds the data folders that travel with the package: the presets and the matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

MATRIX_FILE = "binance.yaml"
"""The matrix, in its folder."""

_PACKAGE = Path(__file__).resolve().parent


def data_folder(name: Literal["configs", "matrix"]) -> Path:
    """Return the folder of bundled data called ``name``.

    An installed wheel has it inside the package, a checkout has it beside the package.

    Raises:
        FileNotFoundError: The installation is broken: neither place has the folder.
    """
    for folder in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"crypto-archive is installed without its {name!r} folder; install the package again")
