"""Each fault in ``docs/reliability.md`` has tests that exist, and its numbers are those of the code."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from crypto_archive.config.run_config import Fetching
from crypto_archive.s5cmd import listing
from crypto_archive.s5cmd.output import Fault
from crypto_archive.transfer import engine, lane
from tests.docs.faults import TESTS
from tests.docs.generated import DOCS, REPOSITORY

TEXT = (DOCS / "reliability.md").read_text(encoding="utf-8")
NAMED = sorted({tuple(test.split("::")) for tests in TESTS.values() for test in tests})


def section(title: str) -> str:
    """Return what stands below a heading."""
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the rows of a section's tables, without their heads."""
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", section(title) + "\n", re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests of a file below ``tests/``."""
    tree = ast.parse((REPOSITORY / "tests" / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_named_test_exists(path: str, name: str) -> None:
    assert name in names_in(path)


def test_each_fault_has_a_test() -> None:
    entries = re.findall(r"^- (.+)$", section("Faults"), re.MULTILINE)
    assert len(entries) > 50
    for entry, fault in zip(entries, TESTS, strict=True):
        assert entry.startswith(f"{fault}: ")
    assert all(TESTS.values())


def test_each_kind_of_failure_is_retried_or_not() -> None:
    kinds = {word for row in rows("Retries") for word in re.findall(r"`([\w-]+)`", row[1])}
    assert kinds == {str(fault) for fault in Fault}


@pytest.mark.parametrize(
    "words",
    [
        f"{lane.S5CMD_RETRIES} times, for about 5 seconds",
        f"the first {engine.UNREACHABLE_AT_FIRST} such objects",
        f"If {engine.LOST_BATCHES} batches in a row",
        f"replaces the {lane.S5CMD_RETRIES} and the {listing._RETRIES}",
        f"{Fetching().attempts} attempts in all",
        f"never longer than {lane.LONGEST_WAIT_SECONDS:g} seconds",
        f"at most `timeout_seconds` ({Fetching().timeout_seconds:g})",
        f"at most `stall_seconds` ({Fetching().stall_seconds:g}) without",
        f"A listing is ended after {listing.STALL_SECONDS:g} seconds without",
    ],
)
def test_numbers_are_those_of_the_code(words: str) -> None:
    assert words in " ".join(section("Retries").split())
