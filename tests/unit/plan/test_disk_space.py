"""A plan that does not fit on the disk is told as soon as that is known."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.errors import ExitCode, RootUnusable
from crypto_archive.model import Action
from crypto_archive.plan import limits as room
from crypto_archive.plan.limits import check_disk_space
from crypto_archive.plan.totals import SIDECAR_BYTES
from crypto_archive.root.store import Root
from tests.objects import an_object, listed, to_fetch

if TYPE_CHECKING:
    from crypto_archive.model import PlannedObject

MIB = 1 << 20


def of_size(size: int, *, action: Action = Action.FETCH, stored: int = 0, number: int = 0) -> PlannedObject:
    return to_fetch(an_object(number))._replace(action=action, remote=listed(size), stored_size=stored)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    """A root on a disk with 10 MiB of room."""
    monkeypatch.setattr(room, "free_bytes", lambda _: 10 * MIB)
    return Root(tmp_path)


def test_a_plan_that_fits_passes(root: Root) -> None:
    planned = [of_size(5 * MIB - SIDECAR_BYTES), of_size(5 * MIB - SIDECAR_BYTES, number=1)]
    assert list(check_disk_space(planned, root)) == planned


def test_one_byte_too_many_is_reported_with_what_is_needed_and_where(root: Root) -> None:
    planned = check_disk_space([of_size(5 * MIB - SIDECAR_BYTES), of_size(5 * MIB - SIDECAR_BYTES + 1)], root)
    next(planned)
    with pytest.raises(RootUnusable) as caught:
        next(planned)
    assert caught.value.message == (
        f"Not enough space on the disk of the output directory {root.path}: at least 10.0 MiB needed, 10.0 MiB free"
    )
    assert "choose another disk with --output" in caught.value.hint
    assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_the_plan_is_stopped_where_it_does_not_fit_any_more(root: Root) -> None:
    asked = count()
    endless = (of_size(MIB, number=number) for number in asked)
    planned = check_disk_space(endless, root)
    assert len(list(islice(planned, 9))) == 9
    with pytest.raises(RootUnusable, match=re.escape("at least 10.0 MiB needed")):
        next(planned)
    assert next(asked) == 10  # and no further object was asked for


@given(st.lists(st.integers(0, 3 * MIB), max_size=20))
def test_it_stops_exactly_where_the_sum_is_too_large(sizes: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(room, "free_bytes", lambda _: 10 * MIB)
        passed = 0
        with suppress(RootUnusable):
            for _ in check_disk_space((of_size(size) for size in sizes), Root(Path("archive"))):
                passed += 1
    sums = [sum(sizes[: end + 1]) + (end + 1) * SIDECAR_BYTES for end in range(len(sizes))]
    assert passed == sum(total <= 10 * MIB for total in sums)
