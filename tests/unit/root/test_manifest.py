"""The manifest keeps records and former digests, serves readers while it is written, and explains damage."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from hypothesis import given, strategies as st

from crypto_archive.catalog import days as dayset
from crypto_archive.errors import EnvironmentFailure, RootUnusable
from crypto_archive.model import Absence, AbsentDays, ManifestEntry, Market, Partition, Series, SeriesDays, Verdict
from crypto_archive.root import database
from crypto_archive.root.manifest import LONGEST_WAIT, AbsenceRecord, Awaited, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)
FOLDER = "data/spot/daily/klines/BTCUSDT/1h/"

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from crypto_archive.model import ManifestEntry, Verdict
from crypto_archive.root.manifest import Manifest

manifest = Manifest(Path(sys.argv[1]))
for line in sys.stdin:
    word = line.strip()
    if word == "flush":
        manifest.flush()
    else:
        manifest.record(ManifestEntry(word, 1, "a" * 64, Verdict.OK, "", None, datetime.now(UTC), "child"))
    print("done", flush=True)
"""


def entry(key: str = FOLDER + "x.zip", sha256: str = "a" * 64, size: int = 1) -> ManifestEntry:
    return ManifestEntry(key, size, sha256, Verdict.OK, "etag", NOON - timedelta(days=1), NOON, "run")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.sqlite"


@contextmanager
def another_writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as child:  # fmt: skip
        try:
            yield child
        finally:
            child.kill()


def print_notice(child: subprocess.Popen[str], word: str) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(word + "\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"


moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=9))]))
entries = st.builds(
    ManifestEntry,
    key=st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\U0010ffff"), min_size=1),
    size=st.integers(0, 2**62),
    sha256=st.text(alphabet="0123456789abcdef", min_size=64, max_size=64),
    verdict=st.sampled_from(Verdict),
    etag=st.text(alphabet="0123456789abcdef-"),
    last_modified=st.none() | moments,
    fetched_at=moments,
    run_id=st.text(alphabet="0123456789TZ-"),
)


@given(entries)
def test_an_entry_reads_back_from_memory_and_from_disk(recorded: ManifestEntry) -> None:
    with tempfile.TemporaryDirectory() as folder, Manifest(Path(folder) / "m.sqlite") as manifest:
        manifest.record(recorded)
        assert manifest.entry(recorded.key) == recorded
        manifest.flush()
        assert manifest.entry(recorded.key) == recorded
        assert list(manifest.iterate()) == [recorded]


@given(st.lists(entries, unique_by=lambda item: item.key, max_size=30), st.text(max_size=2))
def test_a_prefix_finds_what_begins_with_it_in_order(recorded: list[ManifestEntry], prefix: str) -> None:
    prefix = "".join(char for char in prefix if char.isprintable())
    with tempfile.TemporaryDirectory() as folder, Manifest(Path(folder) / "m.sqlite") as manifest:
        for item in recorded:
            manifest.record(item)
        found = list(manifest.iterate(prefix))
    assert found == sorted(
        (item for item in recorded if item.key.startswith(prefix)), key=lambda item: item.key.encode()
    )


def test_what_was_recorded_is_there_after_closing(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
    with Manifest(path) as manifest:
        assert manifest.entry(entry().key) == entry()
        assert manifest.entry("data/other.zip") is None


def test_it_is_written_even_when_the_work_fails(path: Path) -> None:
    def fail(manifest: Manifest) -> None:
        manifest.record(entry())
        raise KeyError

    with pytest.raises(KeyError), Manifest(path) as manifest:
        fail(manifest)
    with Manifest(path, read_only=True) as manifest:
        assert manifest.entry(entry().key) == entry()


def test_more_rows_than_a_page_come_in_order(path: Path) -> None:
    keys = [f"{FOLDER}{number:05}.zip" for number in range(2500)]
    with Manifest(path) as manifest:
        for key in reversed(keys):
            manifest.record(entry(key))
        assert [found.key for found in manifest.iterate()] == keys
        assert list(manifest.all_keys()) == keys
        assert [found.key for found in manifest.iterate(FOLDER + "010")] == keys[1000:1100]


def test_a_folder_does_not_take_in_its_neighbours(path: Path) -> None:
    with Manifest(path) as manifest:
        for name in ("1h/a.zip", "1h.zip", "1h0/a.zip", "1h!/a.zip", "1hh/a.zip"):
            manifest.record(entry(f"data/{name}"))
        assert set(manifest.entries_in("data/1h/")) == {"data/1h/a.zip"}
        assert set(manifest.folders("data/")) == {"1h", "1h0", "1h!", "1hh"}
        assert list(manifest.folders("data/1h/")) == []


def test_recording_while_iterating_is_fine(path: Path) -> None:
    with Manifest(path) as manifest:
        for number in range(1500):
            manifest.record(entry(f"{number:05}.zip"))
        for count, found in enumerate(manifest.iterate()):
            manifest.record(found._replace(run_id="second"))
            manifest.flush()
            if count == 1200:
                break
        assert manifest.entry("01200.zip") == entry("01200.zip")._replace(run_id="second")


def test_former_digests_are_kept_oldest_first(path: Path) -> None:
    versions = [entry(sha256=letter * 64, size=number) for number, letter in enumerate("abcd")]
    with Manifest(path) as manifest:
        for version in versions:
            manifest.record(version)
        assert manifest.former(entry().key) == tuple(versions[:-1])
        assert manifest.entry(entry().key) == versions[-1]


def test_the_same_bytes_again_make_no_history(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
        manifest.flush()
        manifest.record(entry()._replace(etag="another", run_id="second"))
        assert manifest.former(entry().key) == ()
        assert manifest.entry(entry().key) == entry()._replace(etag="another", run_id="second")


@pytest.mark.parametrize("flushed", [False, True])
def test_an_absence_is_recorded_until_the_object_is_fetched(path: Path, flushed: bool) -> None:
    with Manifest(path) as manifest:
        assert manifest.absence("x.zip") is None
        for reason in (Absence.NOT_YET, Absence.HOLE):
            manifest.record_absent("x.zip", reason, NOON)
            if flushed:
                manifest.flush()
            assert manifest.absence("x.zip") == AbsenceRecord("x.zip", reason, NOON)
        manifest.record(entry("x.zip"))
        assert manifest.absence("x.zip") is None
        if flushed:
            manifest.flush()
        assert manifest.absence("x.zip") is None
        manifest.record_absent("x.zip", Absence.HOLE, NOON)
        assert manifest.absence("x.zip") is not None
    with Manifest(path, read_only=True) as manifest:
        assert manifest.absence("x.zip") == AbsenceRecord("x.zip", Absence.HOLE, NOON)
        assert manifest.entry("x.zip") == entry("x.zip")


def test_many_absences_are_written_without_a_flush(path: Path) -> None:
    with Manifest(path) as manifest, Manifest(path, read_only=True) as reader:
        for number in range(1000):
            manifest.record_absent(f"{number}.zip", Absence.HOLE, NOON)
        assert reader.absence("999.zip") == AbsenceRecord("999.zip", Absence.HOLE, NOON)


def test_a_time_without_a_zone_is_refused_immediately(path: Path) -> None:
    naive = NOON.replace(tzinfo=None)
    with Manifest(path) as manifest:
        for wrong in (entry()._replace(fetched_at=naive), entry()._replace(last_modified=naive)):
            with pytest.raises(ValueError, match="has no time zone; UTC is required"):
                manifest.record(wrong)
        with pytest.raises(ValueError, match="has no time zone"):
            manifest.record_absent("x.zip", Absence.HOLE, naive)
        assert list(manifest.iterate()) == []


def test_reading_creates_nothing_and_finds_nothing(tmp_path: Path) -> None:
    with Manifest(tmp_path / "none" / "manifest.sqlite", read_only=True) as manifest:
        assert manifest.entry("x") is None
        assert list(manifest.iterate()) == []
        assert manifest.absence("x") is None
        assert manifest.former("x") == ()
    assert list(tmp_path.iterdir()) == []


def test_reading_leaves_no_file_behind(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
    before = path.read_bytes()
    with Manifest(path, read_only=True) as manifest:
        assert manifest.entry(entry().key) == entry()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_a_manifest_that_was_only_begun_is_empty(path: Path) -> None:
    path.touch()
    with Manifest(path, read_only=True) as manifest:
        assert list(manifest.iterate()) == []
    assert path.stat().st_size == 0
    with Manifest(path) as manifest:
        manifest.record(entry())
        assert manifest.entry(entry().key) == entry()


def test_a_reader_sees_what_another_process_commits_meanwhile(path: Path) -> None:
    with another_writer(path) as child:
        print_notice(child, "first.zip")
        print_notice(child, "flush")
        with Manifest(path, read_only=True) as reader:
            pages = reader.iterate()
            assert next(pages).key == "first.zip"
            print_notice(child, "second.zip")
            assert reader.entry("second.zip") is None
            print_notice(child, "flush")
            assert reader.entry("second.zip") is not None
            assert [found.key for found in pages] == ["second.zip"]


def test_a_killed_writer_loses_only_what_it_kept_back(path: Path) -> None:
    with another_writer(path) as child:
        print_notice(child, "first.zip")
        print_notice(child, "flush")
        print_notice(child, "second.zip")
        child.kill()
        child.wait()
    with Manifest(path, read_only=True) as reader:
        assert [found.key for found in reader.iterate()] == ["first.zip"]
    with Manifest(path) as manifest:
        manifest.record(entry("third.zip"))
        assert [found.key for found in manifest.iterate()] == ["first.zip", "third.zip"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_manifest_in_a_read_only_folder_is_read(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with Manifest(path, read_only=True) as reader:
            assert reader.entry(entry().key) == entry()
        with pytest.raises(RootUnusable, match="Cannot use the manifest"):
            Manifest(path)
    finally:
        path.parent.chmod(0o700)


def test_a_manifest_is_read_where_no_file_can_be_made_next_to_it(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
    # SQLite follows no link here, so it is as in a read-only folder, even for root.
    path.with_name(path.name + "-shm").symlink_to(path.parent / "nowhere" / "shm")
    with Manifest(path, read_only=True) as reader:
        assert reader.entry(entry().key) == entry()
    with pytest.raises(RootUnusable) as caught:
        Manifest(path)
    assert caught.value.message.startswith(f"Cannot use the manifest {path}: ")
    assert "choose another folder with --output" in caught.value.hint


def test_nothing_is_written_through_a_reader(path: Path) -> None:
    with Manifest(path):
        pass
    reader = Manifest(path, read_only=True)
    reader.record(entry())
    with pytest.raises(RootUnusable, match="readonly"):
        reader.close()
    with Manifest(path) as manifest:
        assert list(manifest.iterate()) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_newer_manifest_is_left_alone(path: Path, read_only: bool) -> None:
    with Manifest(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    with pytest.raises(EnvironmentFailure) as caught:
        Manifest(path, read_only=read_only)
    assert (
        caught.value.message
        == f"A newer crypto-archive wrote the manifest {path} (schema 7; this one knows {database.SCHEMA_VERSION})"
    )
    assert caught.value.hint.startswith("Update crypto-archive, or do without what the newer one recorded: ")
    assert "`crypto-archive verify --rebuild-manifest` with the same --output" in caught.value.hint


@pytest.mark.parametrize("read_only", [True, False])
def test_a_database_of_another_program_is_left_alone(path: Path, read_only: bool) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(EnvironmentFailure) as caught:
        Manifest(path, read_only=read_only)
    assert caught.value.message == f"The file {path} is not a manifest of crypto-archive"
    assert caught.value.hint.startswith("`crypto-archive verify --rebuild-manifest` with the same --output")


@pytest.mark.parametrize("read_only", [True, False])
def test_a_damaged_file_is_reported(path: Path, read_only: bool) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(EnvironmentFailure) as caught:
        Manifest(path, read_only=read_only)
    assert caught.value.message == f"The manifest is damaged: {path} (file is not a database)"
    assert "makes a new one from the stored files and keeps this one next to it" in caught.value.hint
    assert "The files are untouched" in caught.value.hint


@pytest.fixture(scope="module")
def sound() -> bytes:
    """The bytes of a manifest with rows in all of its tables, several pages each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.sqlite"
        with Manifest(path) as manifest:
            for sha256 in ("a", "b"):
                for number in range(80):
                    manifest.record(entry(f"{FOLDER}{number}.zip", sha256 * 64))
            for number in range(80):
                manifest.record_absent(f"{FOLDER}absent-{number}.zip", Absence.HOLE, NOON)
        return path.read_bytes()


PAGE = 4096
DAMAGES = st.one_of(
    st.tuples(st.just("zeroed"), st.integers(0, 40), st.just(b"")),
    st.tuples(st.just("truncated"), st.integers(0, 80_000), st.just(b"")),
    st.tuples(st.just("overwritten"), st.integers(0, 80_000), st.binary(min_size=1, max_size=600)),
    st.tuples(st.just("random"), st.just(0), st.binary(max_size=3000)),
)


def damaged(content: bytes, kind: str, where: int, what: bytes) -> bytes:
    if kind == "zeroed":  # half a page, as a torn write leaves it
        start = where * PAGE // 2
        return content[:start] + bytes(PAGE // 2) + content[start + PAGE // 2 :]
    where = min(where, len(content))
    return {"truncated": content[:where], "random": what}.get(
        kind, content[:where] + what + content[where + len(what) :]
    )


@given(damage=DAMAGES, read_only=st.booleans())
@hypothesis.settings(max_examples=80)
def test_whatever_has_happened_to_its_bytes_is_reported(
    sound: bytes, damage: tuple[str, int, bytes], read_only: bool
) -> None:
    """Either nothing of it is noticed, or a message says what to do; any other error fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.sqlite"
        path.write_bytes(damaged(sound, *damage))
        with suppress(EnvironmentFailure), Manifest(path, read_only=read_only) as manifest:
            keys = [row.key for row in manifest.iterate()]
            for number in range(80):
                manifest.former(f"{FOLDER}{number}.zip")
                manifest.absence(f"{FOLDER}absent-{number}.zip")
            if not read_only:
                manifest.record(entry(keys[0] if keys else "x.zip", "c" * 64))


TORN = (
    ("object", "fetched_at", "x"),
    ("object", "fetched_at", "2025-07-15T12:00:00"),  # no time zone, so it could not be compared
    ("object", "sha256", b"\xff"),
    ("absence", "reason", "x"),
)
OTHER_TYPES = (
    ("size", "many"),
    ("size", 1.5),
    ("size", -1),
    ("size", b"1"),
    ("sha256", b"a" * 64),
    ("etag", b"x"),
    ("run_id", b"x"),
    ("verdict", b"ok"),
    ("last_modified", b"x"),
    ("fetched_at", b"2025"),
)


@pytest.mark.parametrize(("column", "value"), OTHER_TYPES)
def test_values_of_other_types_are_reported(path: Path, column: str, value: object) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE object SET {column} = ?", (value,))
    with (
        Manifest(path, read_only=True) as reader,
        pytest.raises(EnvironmentFailure, match="The manifest is damaged"),
    ):
        list(reader.iterate())


def test_a_key_of_another_type_is_reported(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry()._replace(verdict=Verdict.GAPS))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE object SET key = ?", (b"x.zip",))
    with Manifest(path, read_only=True) as reader:
        assert list(reader.iterate()) == list(reader.all_keys()) == []
        with pytest.raises(EnvironmentFailure, match="The manifest is damaged"):
            reader.keys_with(Verdict.GAPS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("ending", ["", "-journal"])
def test_no_fifo_is_waited_for(path: Path, ending: str, read_only: bool) -> None:
    with Manifest(path):
        pass
    path.with_name(path.name + ending).unlink(missing_ok=True)
    os.mkfifo(path.with_name(path.name + ending))
    with pytest.raises(EnvironmentFailure, match="is not a manifest of crypto-archive: it is not a regular file"):
        Manifest(path, read_only=read_only)


def test_no_link_is_followed(path: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    path.symlink_to(tmp_path / "mine.txt")
    with pytest.raises(EnvironmentFailure, match="is not a manifest of crypto-archive: it is not a regular file"):
        Manifest(path)
    assert (tmp_path / "mine.txt").read_bytes() == b""


def test_rows_that_no_version_has_written_are_reported(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
        manifest.record_absent("absent.zip", Absence.HOLE, NOON)
    for table, column, value in TORN:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT)", (value,))
        with Manifest(path, read_only=True) as reader:
            with pytest.raises(EnvironmentFailure, match="The manifest is damaged"):
                reader.entry(FOLDER + "x.zip") if table == "object" else reader.absence("absent.zip")
            if table == "object":  # nor does a look at the row pass it as sound
                with suppress(EnvironmentFailure):
                    assert reader.entries_in(FOLDER).digest(FOLDER + "x.zip", entry().size, None) is None


def test_damage_that_is_met_later_is_reported(path: Path) -> None:
    with Manifest(path) as manifest:
        for number in range(3000):
            manifest.record(entry(f"{number:05}.zip"))
    with path.open("r+b") as file:
        file.seek(40_000)
        file.write(b"\xff" * 200_000)
    with Manifest(path, read_only=True) as reader, pytest.raises(EnvironmentFailure, match="The manifest is damaged: "):
        list(reader.iterate())


def test_a_folder_in_place_of_the_manifest_is_reported(path: Path) -> None:
    path.mkdir()
    for read_only in (True, False):
        with pytest.raises(RootUnusable, match=r"Cannot use the manifest .*manifest\.sqlite: "):
            Manifest(path, read_only=read_only)


def test_another_program_that_keeps_it_locked_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_WAIT_SECONDS", 0.0)
    with Manifest(path):
        pass
    with closing(sqlite3.connect(path)) as other, Manifest(path) as manifest:
        other.execute("BEGIN IMMEDIATE")
        manifest.record(entry())
        with pytest.raises(EnvironmentFailure) as caught:
            manifest.flush()
        assert caught.value.message == f"Another program keeps the manifest {path} locked"
        other.rollback()
    with Manifest(path) as manifest:  # what could not be written was kept, and written at the end
        assert manifest.entry(entry().key) == entry()


def test_a_full_disk_is_reported(path: Path) -> None:
    with Manifest(path) as manifest:
        for number in range(900):
            manifest.record(entry(f"{number:05}.zip"))
        manifest._connection.execute("PRAGMA max_page_count = 8")
        with pytest.raises(RootUnusable) as caught:
            manifest.flush()
        manifest._connection.execute("PRAGMA max_page_count = 100000")
    assert caught.value.message == f"The disk is full: cannot write the manifest {path}"
    assert caught.value.hint == "Free some space, then run again."


def test_misuse_is_not_a_message_for_people(path: Path) -> None:
    manifest = Manifest(path)
    manifest.close()
    with pytest.raises(sqlite3.ProgrammingError):
        manifest.entry("x")


def test_what_is_forgotten_is_kept_in_the_history(path: Path) -> None:
    one, two, stays = (
        entry(f"{FOLDER}{name}.zip", sha256=digit * 64) for name, digit in zip("xyz", "abc", strict=True)
    )
    with Manifest(path) as manifest:
        manifest.record(one)
        manifest.flush()
        manifest.record(two)  # kept back, and forgotten all the same
        manifest.record(stays)
        manifest.forget([one.key, two.key, f"{FOLDER}never.zip"])
        with Manifest(path, read_only=True) as reader:  # committed immediately
            assert list(reader.iterate()) == [stays]
            assert (reader.former(one.key), reader.former(two.key)) == ((one,), (two,))
        manifest.record(two)
        assert manifest.entry(two.key) == two


# Older manifests

VERSION_1 = """
CREATE TABLE object (key TEXT PRIMARY KEY NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL, verdict TEXT NOT NULL,
    etag TEXT NOT NULL, last_modified TEXT, fetched_at TEXT NOT NULL, run_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE history (number INTEGER PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL, etag TEXT NOT NULL, last_modified TEXT, fetched_at TEXT NOT NULL, run_id TEXT NOT NULL);
CREATE INDEX history_key ON history (key);
CREATE TABLE absence (key TEXT PRIMARY KEY NOT NULL, reason TEXT NOT NULL, seen_at TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER keep_former AFTER UPDATE ON object WHEN old.sha256 <> new.sha256 BEGIN
    INSERT INTO history (key, size, sha256, verdict, etag, last_modified, fetched_at, run_id) VALUES (
        old.key, old.size, old.sha256, old.verdict, old.etag, old.last_modified, old.fetched_at, old.run_id);
END;
PRAGMA user_version = 1;
"""
OBJECT_1 = (
    FOLDER + "x.zip",
    1,
    "a" * 64,
    "ok",
    "etag",
    "2025-07-14T12:00:00+00:00",
    "2025-07-15T12:00:00+00:00",
    "run",
)


@pytest.fixture
def version_1(path: Path) -> Path:
    """A manifest as the first version wrote it: an object, its former self, and an absence."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(VERSION_1)
        connection.execute("INSERT INTO object VALUES (?, ?, ?, ?, ?, ?, ?, ?)", OBJECT_1)
        former = (*OBJECT_1[:2], "b" * 64, *OBJECT_1[3:])
        connection.execute("INSERT INTO history VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", former)
        connection.execute("INSERT INTO absence VALUES (?, ?, ?)", ("y.zip", "hole", NOON.isoformat()))
    return path


def assert_has_its_rows(manifest: Manifest) -> None:
    assert manifest.entry(entry().key) == entry()
    assert list(manifest.iterate()) == [entry()]
    assert manifest.former(entry().key) == (entry(sha256="b" * 64),)
    assert manifest.absence("y.zip") == AbsenceRecord("y.zip", Absence.HOLE, NOON)


@pytest.mark.parametrize("how", [{"read_only": True}, {"unchanging": True}])
def test_an_older_manifest_is_read_as_it_is(version_1: Path, how: dict[str, bool]) -> None:
    before = version_1.read_bytes()
    with Manifest(version_1, **how) as manifest:
        assert_has_its_rows(manifest)
        assert manifest.awaited() == []
    assert version_1.read_bytes() == before


def test_a_writer_upgrades_an_older_manifest_and_keeps_its_rows(version_1: Path) -> None:
    with Manifest(version_1) as manifest:
        assert_has_its_rows(manifest)
        manifest.record_awaited(replace(WAIT, key="z.zip"))
        manifest.record(entry(sha256="c" * 64))
    with Manifest(version_1) as manifest:
        assert [one.key for one in manifest.awaited()] == ["z.zip"]
        assert manifest.former(entry().key) == (entry(sha256="b" * 64), entry())
    with closing(sqlite3.connect(version_1)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (database.SCHEMA_VERSION,)


def test_after_an_upgrade_the_etag_of_a_sidecar_is_kept(version_1: Path) -> None:
    known = entry()._replace(sidecar_etag="c" * 32)
    with Manifest(version_1) as manifest:
        manifest.record(known)
        manifest.flush()
        assert manifest.entry(entry().key) == known
        assert dict(manifest.entries_in(FOLDER)) == {entry().key: known}
        manifest.record(known._replace(sha256="d" * 64))
        assert manifest.former(entry().key) == (entry(sha256="b" * 64), known)


def test_an_upgrade_that_fails_changes_nothing(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (
        *database._UPGRADES[:-1],
        replace(database._UPGRADES[-1], change=(*database._UPGRADES[-1].change, "nonsense")),
    )
    with monkeypatch.context() as patched:
        patched.setattr(database, "_UPGRADES", steps)
        with pytest.raises(EnvironmentFailure):
            Manifest(version_1)
    with Manifest(version_1) as manifest:
        assert_has_its_rows(manifest)


# What is awaited

WAIT = Awaited(FOLDER + "x.zip", "a selection", NOON.date())


def test_what_is_awaited_since_the_first_time_is_kept_per_selection(path: Path) -> None:
    later, other = replace(WAIT, since=date(2025, 7, 20)), replace(WAIT, wanted_by="another")
    with Manifest(path) as manifest:
        manifest.record_awaited(WAIT)
        assert manifest.awaited() == [WAIT]
        manifest.record_awaited(later)
        manifest.record_awaited(other)
    with Manifest(path, read_only=True) as manifest:
        assert manifest.awaited() == [WAIT, other]


def test_an_object_that_has_come_is_not_awaited_by_any_selection(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record_awaited(WAIT)
        manifest.record_awaited(replace(WAIT, wanted_by="another"))
        manifest.record_awaited(replace(WAIT, key="y.zip"))
        manifest.record(entry())
        assert [one.key for one in manifest.awaited()] == ["y.zip"]
        manifest.record_awaited(replace(WAIT, came=WAIT.since))
    with Manifest(path) as manifest:
        assert manifest.awaited() == [replace(WAIT, came=WAIT.since), replace(WAIT, key="y.zip")]


@pytest.mark.parametrize("reason", Absence)
def test_what_will_never_come_is_not_awaited_any_more(path: Path, reason: Absence) -> None:
    with Manifest(path) as manifest:
        manifest.record_awaited(WAIT)
        manifest.record_absent(WAIT.key, reason, NOON)
        may_come = {Absence.NOT_YET, Absence.LATE, Absence.HOLE}
        assert bool(manifest.awaited()) is (reason in may_come)


def test_a_wait_is_given_up(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record_awaited(replace(WAIT, came=WAIT.since))
        manifest.record_awaited(replace(WAIT, key="y.zip"))
        manifest.record_awaited(replace(WAIT, key="y.zip", wanted_by="another", since=WAIT.since + timedelta(days=1)))
        manifest.stop_waiting(WAIT.since + LONGEST_WAIT[Partition.MONTHLY] + timedelta(days=1))
        assert [(one.key, one.wanted_by) for one in manifest.awaited()] == [("y.zip", "another")]


def test_what_an_older_lock_file_says_is_no_news_of_what_was_fetched_since(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record(entry())
        manifest.record_absent(entry().key, Absence.NOT_YET, entry().fetched_at - timedelta(days=1))
        manifest.record_awaited(replace(WAIT, key=entry().key))
        assert (manifest.awaited(), manifest.absence(entry().key)) == ([], None)


# Days, and manifests of earlier versions

SERIES = Series(Market.SPOT, "klines", "BTCUSDT", "1h")
HOLE = AbsentDays(Absence.HOLE, date(2025, 7, 3), date(2025, 7, 6))


def answered(first: int, last: int, *absent: AbsentDays) -> SeriesDays:
    wanted = last - first + 1
    available = wanted - sum(one.count for one in absent)
    return SeriesDays(SERIES, date(2025, 7, first), date(2025, 7, last), available, None, absent)


def test_absent_days_are_remembered_by_range_and_replaced_where_they_are_wanted_again(path: Path) -> None:
    with Manifest(path) as manifest:
        manifest.record_days(answered(1, 10, HOLE), NOON)
        assert manifest.absent_days(SERIES) == {Absence.HOLE: dayset.span(HOLE.first, HOLE.last)}
        assert manifest.absent_days(SERIES._replace(interval=None)) == {}
        manifest.record_days(answered(5, 20, AbsentDays(Absence.LATE, date(2025, 7, 19), date(2025, 7, 20))), NOON)
    with Manifest(path, read_only=True) as manifest:
        assert manifest.absent_days(SERIES) == {
            Absence.HOLE: dayset.span(date(2025, 7, 3), date(2025, 7, 4)),  # the days from the 5th on came
            Absence.LATE: dayset.span(date(2025, 7, 19), date(2025, 7, 20)),
        }


def test_the_days_of_a_month_are_those_of_its_bytes(path: Path) -> None:
    month = "data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2025-06.zip"
    with Manifest(path) as manifest:
        manifest.record(entry()._replace(key=month))
        manifest.record_month(month, 0b1111111)
        assert manifest.month_days("data/spot/monthly/") == {month: 0b1111111}
        assert manifest.month_days("data/spot/daily/") == {}
        manifest.record(entry()._replace(key=month, sha256="b" * 64))
        assert manifest.month_days("data/spot/monthly/") == {}, "the archive has replaced it"


def test_the_days_of_an_older_manifest_are_unknown(version_1: Path) -> None:
    with Manifest(version_1, read_only=True) as manifest:
        assert (manifest.absent_days(SERIES), manifest.month_days("")) == ({}, {})
    with Manifest(version_1) as manifest:
        manifest.record_days(answered(1, 10, HOLE), NOON)
        assert list(manifest.absent_days(SERIES)) == [Absence.HOLE]


def test_a_reason_of_an_earlier_version_has_its_present_name(version_1: Path) -> None:
    with closing(sqlite3.connect(version_1)) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO absence VALUES ('data/x', 'after-last', ?)", (NOON.isoformat(),))
    for read_only in (True, False):
        with Manifest(version_1, read_only=read_only) as manifest:
            found = manifest.absence("data/x")
            assert found is not None
            assert found.reason is Absence.DISCONTINUED
