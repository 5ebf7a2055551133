"""The extras: optional parts of the installation, each for a command or two."""

from __future__ import annotations

from importlib.util import find_spec

from crypto_archive.errors import UsageError

_MODULES = {"prefect": ("prefect",), "dask": ("prefect_dask", "distributed")}
"""What each extra installs, by the names of its modules."""


class ExtraMissing(UsageError, ImportError):
    """What was asked for needs an extra that is not installed."""


def require_extra(extra: str, purpose: str) -> None:
    """See that an extra is installed; its modules are looked for and not imported.

    Args:
        extra: The extra's name.
        purpose: What needs it, for people.

    Raises:
        ExtraMissing: It is not.
    """
    if any(find_spec(module) is None for module in _MODULES[extra]):
        raise ExtraMissing(f"{purpose} needs the extra {extra!r}: pip install 'crypto-archive[{extra}]'")
