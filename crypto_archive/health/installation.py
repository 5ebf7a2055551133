"""What is installed: this program, its matrix, its extras, s5cmd; and what this process may do."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from typing import TYPE_CHECKING

from crypto_archive.config.settings import misspelt_variables
from crypto_archive.health.check import Check, ok, warning
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.transfer.descriptors import crew_possible
from crypto_archive.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.config import Configured
    from crypto_archive.s5cmd.binary import Binary

DISTRIBUTION = "crypto-archive"

_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*).*;.*\bextra == ['\"]([\w.-]+)['\"]")


def check_program() -> Check:
    """Say which crypto-archive this is, and on what it runs."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return ok("crypto-archive", f"{__version__}, Python {platform.python_version()}, {system}")


def check_matrix(configured: Configured) -> Check:
    """Say which matrix counts."""
    matrix = configured.matrix
    origin = configured.origins.get("matrix_path")
    where = f", from {origin}" if origin else ""
    return ok("matrix", f"{matrix.name} {matrix.version}, {len(matrix.rows)} rows{where}")


def check_settings(configured: Configured) -> Check:
    """Say which settings are from the environment, and which variables mean nothing."""
    found = [field for field, origin in configured.origins.items() if origin.isupper() or origin.startswith(".env, ")]
    told = f"{len(found)} of the environment: {', '.join(found)}" if found else "none of the environment"
    if misspelt := misspelt_variables():
        return warning("settings", told, "; ".join(notice.text for notice in misspelt))
    return ok("settings", told)


def check_extras() -> Check:
    """Say which extras are installed, without importing them."""
    try:
        wanted = _extras(importlib.metadata.requires(DISTRIBUTION) or [])
    except importlib.metadata.PackageNotFoundError:
        return ok("extras", "unknown: it runs from its source, not from an installed package")
    versions = {name: {one: _version(one) for one in needed} for name, needed in wanted.items()}
    begun = {name: found for name, found in versions.items() if any(found[one] for one in _own(name, wanted))}
    told = ", ".join(
        _told(name, found) if name in begun else f"{name} not installed" for name, found in versions.items()
    )
    half = [name for name, found in begun.items() if not all(found.values())]
    if half:
        return warning("extras", told, f"`pip install '{DISTRIBUTION}[{','.join(half)}]'` completes what is missing.")
    return ok("extras", told or "there are none")


def find_s5cmd(configured: Configured, seconds: float) -> Binary:
    """Return the s5cmd that runs would use.

    Raises:
        S5cmdUnusable: There is none, it is too old, or it cannot be run.
    """
    return find_binary(configured.request.access.s5cmd, seconds=seconds)


def check_open_files(configured: Configured) -> Check:
    """Say whether as many files may be open at once as the run's s5cmd processes need.

    Raises:
        EnvironmentFailure: Not even one of them could work.
    """
    jobs = configured.request.fetching.jobs
    crew = crew_possible(jobs)
    if crew.notice is not None:
        advice = "`ulimit -n 1024` in the shell that starts it, or LimitNOFILE= in a unit of systemd, lifts that."
        return warning("open files", f"enough for {crew.lanes} of {jobs} s5cmd processes side by side", advice)
    return ok("open files", f"enough for {jobs} s5cmd processes side by side")


def _extras(requirements: list[str]) -> Mapping[str, list[str]]:
    """Return what each extra installs, by the extra's name."""
    wanted: dict[str, list[str]] = {}
    for requirement in requirements:
        if (found := _REQUIREMENT.match(requirement)) and found[1] != DISTRIBUTION:
            wanted.setdefault(found[2], []).append(found[1])
    return wanted


def _own(extra: str, wanted: Mapping[str, list[str]]) -> list[str]:
    """Return what only this extra installs, as far as there is any: what others install too is no sign of it."""
    others = {one for name, needed in wanted.items() if name != extra for one in needed}
    return [one for one in wanted[extra] if one not in others] or wanted[extra]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _told(extra: str, found: Mapping[str, str | None]) -> str:
    parts = ", ".join(f"{name} {version or 'missing'}" for name, version in found.items())
    return f"{extra} ({parts})"
