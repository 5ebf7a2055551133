"""The differences between two sorted streams are those between two sets."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import RemoteStat
from crypto_archive.plan.lockfile import Kind, LockedObject, differences
from tests.objects import LISTED_AT

STAT = RemoteStat(100, "e" * 32, LISTED_AT)
sides = st.dictionaries(
    st.text("abc/", min_size=1, max_size=3), st.integers(0, 2).map(lambda size: STAT._replace(size=size))
)


def entries(side: dict[str, RemoteStat]) -> list[LockedObject]:
    return [LockedObject(key, side[key]) for key in sorted(side)]


@given(sides, sides)
def test_differences_are_those_of_the_sets(locked: dict[str, RemoteStat], planned: dict[str, RemoteStat]) -> None:
    found = list(differences(iter(entries(locked)), iter(entries(planned))))
    by_kind = {kind: {one.key for one in found if one.kind is kind} for kind in Kind}
    assert by_kind[Kind.NEW] == planned.keys() - locked.keys()
    assert by_kind[Kind.GONE] == locked.keys() - planned.keys()
    assert by_kind[Kind.REPLACED] == {key for key in planned.keys() & locked.keys() if locked[key] != planned[key]}
    assert [one.key for one in found] == sorted(one.key for one in found)
    for one in found:
        assert (one.locked, one.planned) == (locked.get(one.key), planned.get(one.key))


LATER = LISTED_AT + timedelta(days=18)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (STAT, STAT._replace(size=101, etag="f"), (("size", "100", "101"), ("etag", "e" * 32, "f"))),
        (STAT, STAT._replace(last_modified=LATER), (("last_modified", LISTED_AT.isoformat(), LATER.isoformat()),)),
        (STAT._replace(sha256="a"), STAT._replace(sha256="b"), (("sha256", "a", "b"),)),
        (STAT._replace(sha256="a"), STAT, ()),
        (STAT, STAT._replace(sha256="a"), ()),
    ],
    ids=["size and ETag", "time", "digest", "digest forgotten", "digest learnt"],
)
def test_what_counts_as_replaced(
    before: RemoteStat, after: RemoteStat, changes: tuple[tuple[str, str, str], ...]
) -> None:
    found = list(differences([LockedObject("a", before)], [LockedObject("a", after)]))
    assert [one.changes for one in found] == ([changes] if changes else [])


def test_a_sidecar_that_turns_up_replaces_nothing() -> None:
    assert list(differences([LockedObject("a", STAT._replace(has_sidecar=False))], [LockedObject("a", STAT)])) == []
