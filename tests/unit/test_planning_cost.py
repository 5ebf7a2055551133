"""What fetching an object costs in bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from crypto_archive.model import Action, RemoteStat
from crypto_archive.plan.totals import SIDECAR_BYTES, added_bytes, known_size
from tests.objects import LISTED_AT, an_object, listed, to_fetch

if TYPE_CHECKING:
    from crypto_archive.model import PlannedObject


def of_size(size: int, *, action: Action = Action.FETCH, stored: int = 0) -> PlannedObject:
    return replace(to_fetch(an_object(), remote=listed(size)), action=action, stored_size=stored)


PINNED = replace(to_fetch(an_object()), pin=RemoteStat(11, "e" * 32, LISTED_AT))


@pytest.mark.parametrize(
    ("item", "added"),
    [
        (of_size(7), 7 + SIDECAR_BYTES),
        (replace(of_size(7), with_sidecar=False), 7),
        (of_size(7, action=Action.KEEP, stored=7), 0),
        (of_size(9, action=Action.UPDATE, stored=7), 2),
        (of_size(5, action=Action.UPDATE, stored=7), -2),
        (of_size(7, action=Action.FETCH, stored=7), 0),
        (of_size(7, action=Action.WAIT), 0),
        (to_fetch(an_object()), 0),
        (PINNED, 11 + SIDECAR_BYTES),
    ],
    ids=["new", "without its sidecar", "kept", "grown", "shrunk", "forced", "not yet", "of unknown size", "pinned"],
)
def test_only_what_is_added_counts(item: PlannedObject, added: int) -> None:
    assert added_bytes(item) == added


def test_the_listing_knows_a_size_better_than_a_lock() -> None:
    assert known_size(replace(PINNED, remote=listed(12))) == 12
    assert known_size(PINNED) == 11
    assert known_size(to_fetch(an_object())) is None
