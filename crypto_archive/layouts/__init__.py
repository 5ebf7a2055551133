"""Where the objects of the archive stand below a root: by their keys, in folders of a template, or as somebody says.

A layout chooses the folder of an object. The file keeps the archive's own name in every layout: its sidecar speaks of
it by that name, and the name tells which object of a market and data type it is. All folders are below ``data/``.
"""

from crypto_archive.layouts.naming import HIVE, HIVE_TEMPLATE, LayoutError, placement_of
from crypto_archive.layouts.paths import PRIVATE_FOLDER, plain_parts
from crypto_archive.layouts.placement import MIRROR, Layout, NoPlace, Placement

__all__ = [
    "HIVE",
    "HIVE_TEMPLATE",
    "MIRROR",
    "PRIVATE_FOLDER",
    "Layout",
    "LayoutError",
    "NoPlace",
    "Placement",
    "placement_of",
    "plain_parts",
]
