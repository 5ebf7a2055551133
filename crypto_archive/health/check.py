"""A check as a value: what was looked at, what was found, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Runs work, or may work, but a person should know."""
    FAILED = "failed"
    """No run can work, or none that can be trusted."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What it is.
        status: How it ended.
        found: What was found.
        advice: What to do; empty where there is nothing to do.
    """

    name: str
    status: CheckStatus
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    """Return a check that found all in order."""
    return Check(name, CheckStatus.OK, found)


def warning(name: str, found: str, advice: str) -> Check:
    """Return a check that found something that a person should know."""
    return Check(name, CheckStatus.WARNING, found, advice)


def failed(name: str, found: str, advice: str) -> Check:
    """Return a check that found what keeps runs from working."""
    return Check(name, CheckStatus.FAILED, found, advice)


def not_looked_at(name: str, why: str, first: str) -> Check:
    """Return a check that could not be made, because another one failed.

    Args:
        name: What was to be looked at.
        why: What kept it from that.
        first: The check that failed.
    """
    return Check(name, CheckStatus.WARNING, f"not looked at: {why}", f"See to {first} first.")
