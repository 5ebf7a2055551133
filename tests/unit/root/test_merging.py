"""Two manifests become one: nothing that either knew is lost, what is newer counts, and it may be done twice."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import crypto_archive
from crypto_archive.errors import EnvironmentFailure, ManifestUnreadable
from crypto_archive.model import Absence, ManifestEntry, Verdict
from crypto_archive.root.manifest import Awaited, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable

NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEYS = [f"data/{number:04d}.zip" for number in range(2_500)]


def entry(key: str = KEYS[0], sha256: str = "a" * 64, at: datetime = NOON) -> ManifestEntry:
    return ManifestEntry(key, 1, sha256, Verdict.OK, "etag", at - timedelta(days=1), at, "run")


def written(
    path: Path, entries: Iterable[ManifestEntry], absences: Iterable[tuple[str, Absence, datetime]] = ()
) -> Path:
    with Manifest(path) as manifest:
        for one in entries:
            manifest.record(one)
        for absence in absences:
            manifest.record_absent(*absence)
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return tmp_path / "whole.sqlite"


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "part.sqlite"


def merge(part: Path, whole: Path) -> None:
    with Manifest(whole) as manifest:
        manifest.merge(part)


def known(path: Path) -> dict[str, ManifestEntry]:
    with Manifest(path, read_only=True) as manifest:
        return {one.key: one for one in manifest.iterate()}


def former(path: Path, key: str = KEYS[0]) -> list[str]:
    with Manifest(path, read_only=True) as manifest:
        return [one.sha256[0] for one in manifest.former(key)]


def test_all_rows_are_taken_page_by_page(whole: Path, part: Path) -> None:
    wanted = {key: entry(key) for key in KEYS}
    written(whole, (wanted[key] for key in KEYS[::2]))
    written(part, (wanted[key] for key in KEYS[1::2]))
    merge(part, whole)
    assert known(whole) == wanted
    assert known(part).keys() == set(KEYS[1::2])  # it is left as it is


def test_where_the_root_has_no_manifest_it_is_begun(whole: Path, part: Path) -> None:
    written(part, [entry()])
    merge(part, whole)
    assert known(whole) == {KEYS[0]: entry()}


def test_a_part_that_was_never_written_has_nothing(whole: Path, part: Path) -> None:
    written(whole, [entry()])
    part.touch()
    merge(part, whole)
    assert known(whole) == {KEYS[0]: entry()}


@pytest.mark.parametrize(("at", "wins", "before"), [(NOON + HOUR, "b", ["a"]), (NOON - HOUR, "a", []), (NOON, "a", [])])
def test_what_was_fetched_later_counts(whole: Path, part: Path, at: datetime, wins: str, before: list[str]) -> None:
    written(whole, [entry()])
    written(part, [entry(sha256="b" * 64, at=at)])
    for _ in range(2):
        merge(part, whole)
        assert known(whole)[KEYS[0]].sha256[0] == wins
        assert former(whole) == before


def test_the_same_bytes_with_a_newer_etag_replace_the_row_and_are_no_history(whole: Path, part: Path) -> None:
    written(whole, [entry()])
    newer = entry(at=NOON + HOUR)._replace(etag="other")
    written(part, [newer])
    merge(part, whole)
    assert known(whole) == {KEYS[0]: newer}
    assert former(whole) == []


def test_what_a_part_noted_of_the_same_download_is_taken(whole: Path, part: Path) -> None:
    written(whole, [entry()])
    noted = entry()._replace(last_modified=NOON, sidecar_etag="c" * 32)
    written(part, [noted])
    for _ in range(2):
        merge(part, whole)
        assert known(whole) == {KEYS[0]: noted}
        assert former(whole) == []


def test_both_histories_are_kept_in_the_order_of_time(whole: Path, part: Path) -> None:
    written(whole, [entry(sha256="a" * 64), entry(sha256="b" * 64, at=NOON + HOUR)])
    written(part, [entry(sha256=letter * 64, at=NOON + n * HOUR) for n, letter in enumerate("cde", 2)])
    for _ in range(2):
        merge(part, whole)
        assert former(whole) == ["a", "b", "c", "d"]
        assert known(whole)[KEYS[0]].sha256[0] == "e"


@pytest.mark.parametrize(("at", "reason"), [(HOUR, Absence.HOLE), (-HOUR, Absence.NOT_YET)])
def test_the_later_absence_counts(whole: Path, part: Path, at: timedelta, reason: Absence) -> None:
    written(whole, [], [(KEYS[0], Absence.NOT_YET, NOON)])
    written(part, [], [(KEYS[0], Absence.HOLE, NOON + at)])
    merge(part, whole)
    with Manifest(whole, read_only=True) as manifest:
        found = manifest.absence(KEYS[0])
    assert found is not None
    assert found.reason is reason


def test_what_was_fetched_is_no_longer_absent(whole: Path, part: Path) -> None:
    written(whole, [], [(KEYS[0], Absence.NOT_YET, NOON - HOUR), (KEYS[1], Absence.NOT_YET, NOON + HOUR)])
    written(part, [entry(KEYS[0]), entry(KEYS[1])])
    merge(part, whole)
    with Manifest(whole, read_only=True) as manifest:
        assert manifest.absence(KEYS[0]) is None
        assert manifest.absence(KEYS[1]) is not None  # seen to be gone after it was fetched


@pytest.mark.parametrize("steps", [1, 2, 3], ids=["objects", "history", "absences"])
def test_killed_after_any_step_it_can_be_repeated(
    whole: Path, part: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    written(whole, [entry(sha256="a" * 64), entry(sha256="b" * 64, at=NOON + HOUR)])
    second = [entry(sha256="c" * 64, at=NOON + 2 * HOUR), entry(sha256="d" * 64, at=NOON + 3 * HOUR)]
    written(part, [*second, *(entry(key) for key in KEYS[1:3])], [(KEYS[3], Absence.HOLE, NOON)])
    original, left = Manifest._write_many, steps

    def killed(manifest: Manifest, *statements: tuple[str, Iterable[tuple[object, ...]]]) -> None:
        nonlocal left
        original(manifest, *statements)
        left -= 1
        if not left:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "_write_many", killed)
        with pytest.raises(KeyboardInterrupt):
            merge(part, whole)
    merge(part, whole)
    assert former(whole) == ["a", "b", "c"]
    assert set(known(whole)) == set(KEYS[:3])
    with Manifest(whole, read_only=True) as manifest:
        assert manifest.absence(KEYS[3]) is not None


def test_what_a_killed_writer_left_in_its_log_counts(whole: Path, part: Path) -> None:
    writer = Manifest(part)
    writer.record(entry())
    writer.flush()
    copy = part.with_name("copy.sqlite")
    for suffix in ("", "-wal"):  # as they lie there when the process is gone
        copy.with_name(copy.name + suffix).write_bytes(part.with_name(part.name + suffix).read_bytes())
    writer.close()
    merge(copy, whole)
    assert known(whole) == {KEYS[0]: entry()}


def test_the_damaged_one_is_named(whole: Path, part: Path) -> None:
    written(part, [entry()])
    whole.write_bytes(b"not a manifest at all" * 100)
    with pytest.raises(ManifestUnreadable) as raised:
        merge(part, whole)
    assert raised.value.path == whole
    with pytest.raises(ManifestUnreadable) as raised:
        merge(whole, part)
    assert raised.value.path == whole
    assert known(part) == {KEYS[0]: entry()}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE object SET verdict = 'splendid'",
        "UPDATE object SET fetched_at = 'yesterday'",
        "INSERT INTO history SELECT 9, * FROM object; UPDATE history SET verdict = 'splendid'",
        "UPDATE absence SET reason = 'because'",
        "INSERT INTO awaited VALUES ('data/x.zip', 'a selection', 'yesterday', NULL)",
    ],
)
def test_a_row_that_cannot_be_read_is_not_handed_on(whole: Path, part: Path, statement: str) -> None:
    written(part, [entry()], [(KEYS[1], Absence.HOLE, NOON)])
    connection = sqlite3.connect(part)
    connection.executescript(statement)
    connection.close()
    with pytest.raises(ManifestUnreadable) as raised:
        merge(part, whole)
    assert raised.value.path == part
    assert isinstance(raised.value, EnvironmentFailure)
    assert set(known(whole)) <= {KEYS[0]}


def test_what_a_part_waits_for_is_awaited_unless_it_was_fetched_meanwhile(whole: Path, part: Path) -> None:
    waits = [Awaited(key, "a selection", NOON.date()) for key in KEYS[:4]]
    with Manifest(whole) as manifest:
        manifest.record(entry(KEYS[0]))
        manifest.record_awaited(replace(waits[2], since=NOON.date() - timedelta(days=3)))
        manifest.record_awaited(waits[3])
    with Manifest(part) as manifest:
        for wait in waits[:3]:
            manifest.record_awaited(wait)
        manifest.record(entry(KEYS[3]))
        manifest.record_awaited(replace(waits[3], came=NOON.date()))
    merge(part, whole)
    merge(part, whole)
    with Manifest(whole, read_only=True) as manifest:
        assert manifest.awaited() == [
            waits[1], replace(waits[2], since=NOON.date() - timedelta(days=3)), replace(waits[3], came=NOON.date())
        ]  # fmt: skip


@pytest.mark.parametrize("reason", [Absence.DELISTED, Absence.MONTHLY_ONLY, Absence.HOLE])
def test_what_a_part_knows_will_never_come_is_not_awaited_any_more(whole: Path, part: Path, reason: Absence) -> None:
    with Manifest(whole) as manifest:
        manifest.record_awaited(Awaited(KEYS[0], "a selection", NOON.date()))
    merge(written(part, [], [(KEYS[0], reason, NOON)]), whole)
    with Manifest(whole, read_only=True) as manifest:
        assert bool(manifest.awaited()) is not reason.is_final


def test_what_a_part_has_fetched_is_not_awaited_any_more(whole: Path, part: Path) -> None:
    with Manifest(whole) as manifest:
        for key in KEYS[:2]:
            manifest.record_awaited(Awaited(key, "a selection", NOON.date()))
    merge(written(part, [entry()]), whole)
    with Manifest(whole, read_only=True) as manifest:
        assert [one.key for one in manifest.awaited()] == [KEYS[1]]


def test_no_statement_numbers_its_parameters() -> None:
    """From Python 3.14 on, sqlite3 takes no sequence for ``?1``; from 3.12 on it warns."""
    for path in Path(crypto_archive.__file__).parent.rglob("*.py"):
        assert not re.search(r"\?\d", path.read_text("utf-8")), path.name
