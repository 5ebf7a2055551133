"""What a layout is called, and which one a name means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_archive.errors import nearest
from crypto_archive.layouts.own import GROUP, imported, installed, installed_names, own_layout
from crypto_archive.layouts.placement import MIRROR, ByFolder, Placement
from crypto_archive.layouts.template import template_of

if TYPE_CHECKING:
    from crypto_archive.matrix import Matrix

HIVE = "hive"
HIVE_TEMPLATE = "market={market}/data_type={data_type}/symbol={symbol}/interval={interval}/partition={partition}"
"""Without years and months: a folder holds the files of a series, whose names tell their dates."""


class LayoutError(ValueError):
    """A name means no layout, or one that cannot work.

    Attributes:
        allowed: The names that would do; empty where the name is not to blame.
        nearest: The one of them that looks most like the given one.
    """

    def __init__(self, message: str, allowed: tuple[str, ...] = (), nearest: str | None = None) -> None:
        super().__init__(message)
        self.allowed = allowed
        self.nearest = nearest


def placement_of(name: str, matrix: Matrix) -> Placement:
    """Return the layout that a name means, made ready for a matrix.

    Args:
        name: ``mirror``, ``hive``, a template with fields, ``module:attribute``, or what an installed package offers.
        matrix: What knows the keys.

    Raises:
        LayoutError: There is no such layout, or it could put two objects at the same path or outside of the root.
    """
    if name == MIRROR.name:
        return MIRROR
    try:
        if name == HIVE or "{" in name or "}" in name:
            template = template_of(HIVE_TEMPLATE if name == HIVE else name, matrix)
            known_as = HIVE if template.text == HIVE_TEMPLATE else template.text
            return ByFolder(known_as, matrix, template.folder, template.rows)
        if ":" in name:
            own = own_layout(name, imported(name), matrix)
        elif name in installed_names():
            own = own_layout(name, installed(name), matrix)
        else:
            raise _unknown(name)
    except LayoutError:
        raise
    except ValueError as error:
        raise LayoutError(_about(name, str(error))) from error
    return ByFolder(name, matrix, own.folder, own.rows)


def _unknown(name: str) -> LayoutError:
    known = (MIRROR.name, HIVE, *installed_names())
    others = f"a template such as '{{market}}/{{data_type}}/{{symbol}}', module:attribute, or an entry point of {GROUP}"
    return LayoutError(f"unknown layout {name!r}; it may also be {others}", known, nearest(name, known))


def _about(name: str, fault: str) -> str:
    return f"the template {name!r}: {fault}" if "{" in name or "}" in name else fault
