"""Daily objects go aside only for a proven month that holds their rows, and nothing is lost on the way."""

from __future__ import annotations

import errno
import hashlib
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from crypto_archive.errors import RootUnusable
from crypto_archive.events import Comparing, DaysCovered, DaysKept, Event, ObjectFinished
from crypto_archive.jobs import prune as prune_module
from crypto_archive.jobs.prune import CoveringMonths, prune
from crypto_archive.model import ArchiveObject, ManifestEntry, Market, Outcome, Partition, Period, Verdict
from crypto_archive.root.covered import move_aside, stored_days
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.proof import check_stored
from crypto_archive.root.store import Root, open_root
from tests.objects import bundled, context_of, row_of
from tests.zips import break_off, write_zip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

JULY = date(2025, 7, 1)
RUN = "20250801T000000Z-abcdef"
COUNT = 3  # how many days of the month are on disk


def an_object(day: date, partition: Partition = Partition.DAILY, interval: str = "1h") -> ArchiveObject:
    return row_of(Market.SPOT, "klines").object("BTCUSDT", interval, Period.containing(day, partition))


MONTH = an_object(JULY, Partition.MONTHLY)
DAYS = [an_object(JULY + timedelta(days=number)) for number in range(COUNT)]
KEYS = tuple(day.key for day in DAYS)


def rows_of(day: ArchiveObject) -> list[str]:
    midnight = datetime.combine(day.period.first_day, time(), UTC)
    return [f"{int(midnight.timestamp() + hour * 3600)}000,{hour * 1.5}" for hour in range(24)]


ALL_ROWS = [row for day in DAYS for row in rows_of(day)]


class Killed(BaseException):
    """The process is gone; nothing of ours catches it."""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


@pytest.fixture
def manifest(root: Root) -> Iterator[Manifest]:
    with Manifest(root.manifest_path) as opened:
        yield opened


def put(root: Root, manifest: Manifest | None, item: ArchiveObject, rows: Sequence[str], *, sidecar: bool = True,
        verdict: Verdict = Verdict.OK) -> Path:  # fmt: skip
    """Store an object as a collect leaves it."""
    path = root.file(item.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_zip(path, rows)
    seal(root, item, sidecar=sidecar)
    if manifest is not None:
        content = path.read_bytes()
        moment = datetime(2025, 8, 1, tzinfo=UTC)
        digest = hashlib.sha256(content).hexdigest()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        manifest.record(ManifestEntry(item.key, len(content), digest, verdict, md5, moment, moment, RUN))
    return path


def seal(root: Root, item: ArchiveObject, *, sidecar: bool = True) -> None:
    path = root.file(item.key)
    if sidecar:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        root.file(item.sidecar_key).write_text(f"{digest}  {path.name}")


@pytest.fixture
def days(root: Root, manifest: Manifest) -> list[bytes]:
    """The days on disk and in the manifest; their bytes."""
    return [put(root, manifest, day, rows_of(day)).read_bytes() for day in DAYS]


def pruned(root: Root, manifest: Manifest, month: ArchiveObject = MONTH) -> list[Event]:
    events = list(prune(context_of(root), manifest, month))
    return [event for event in events if not isinstance(event, Comparing)]


def nothing_moved(root: Root, manifest: Manifest, days: list[bytes]) -> bool:
    assert [root.file(key).read_bytes() for key in KEYS] == days
    assert not root.covered.exists()
    return all(manifest.entry(key) is not None for key in KEYS)


def verdict_of(manifest: Manifest, item: ArchiveObject = MONTH) -> Verdict | None:
    entry = manifest.entry(item.key)
    return None if entry is None else entry.verdict


def test_days_go_aside_with_their_sidecars_when_the_month_holds_them(
    root: Root, manifest: Manifest, days: list[bytes]
) -> None:
    month = put(root, manifest, MONTH, ALL_ROWS)
    before = month.read_bytes()
    files = [root.file(key + end) for key in KEYS for end in ("", ".CHECKSUM")]
    size = sum(file.stat().st_size for file in files)
    assert pruned(root, manifest) == [DaysCovered(MONTH, KEYS, size)]
    assert [(root.covered / key).read_bytes() for key in KEYS] == days
    assert all((root.covered / (key + ".CHECKSUM")).is_file() for key in KEYS)
    assert not any(file.exists() for file in files)
    assert month.read_bytes() == before
    assert verdict_of(manifest) is Verdict.OK
    assert pruned(root, manifest) == []


def test_the_manifest_forgets_what_went_aside_but_for_its_history(
    root: Root, manifest: Manifest, days: list[bytes]
) -> None:
    put(root, manifest, MONTH, ALL_ROWS)
    pruned(root, manifest)
    assert [manifest.entry(key) for key in KEYS] == [None] * COUNT
    for key, content in zip(KEYS, days, strict=True):
        (former,) = manifest.former(key)
        assert former.sha256 == hashlib.sha256(content).hexdigest()


def test_a_comparison_is_shown_day_by_day(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    del days
    put(root, manifest, MONTH, ALL_ROWS)
    told = list(prune(context_of(root), manifest, MONTH))
    assert told[:-1] == [Comparing(MONTH, COUNT, held) for held in range(COUNT + 1)]


def test_days_of_other_months_series_and_forms_stay(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    del days
    put(root, manifest, MONTH, ALL_ROWS)
    others = [an_object(date(2025, 6, 30)), an_object(date(2025, 8, 1)), an_object(JULY, interval="1m")]
    for other in others:
        put(root, manifest, other, rows_of(other))
    stranger = root.file(KEYS[0]).with_name("BTCUSDT-1h-2025-07-xx.zip")
    stranger.touch()
    assert stored_days(root, bundled(), MONTH) == tuple(DAYS)
    pruned(root, manifest)
    assert stranger.exists()
    assert all(root.file(other.key).is_file() and manifest.entry(other.key) for other in others)


def test_without_days_on_disk_not_even_the_month_is_read(root: Root, manifest: Manifest) -> None:
    put(root, manifest, MONTH, ALL_ROWS).write_bytes(b"spoilt")
    assert list(prune(context_of(root), manifest, MONTH)) == []


@pytest.mark.parametrize("interval", ["3d", "1w", "1mo"])
def test_months_of_long_candles_have_no_days(root: Root, manifest: Manifest, interval: str) -> None:
    month = an_object(JULY, Partition.MONTHLY, interval)
    put(root, manifest, month, ["1"])
    remnant = bundled().object_of(f"data/spot/daily/klines/BTCUSDT/{interval}/BTCUSDT-{interval}-2025-07-01.zip")
    assert remnant is not None
    put(root, manifest, remnant, ["1"])
    assert list(prune(context_of(root), manifest, month)) == []


def test_a_day_has_no_days(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    assert pruned(root, manifest, DAYS[0]) == []
    assert nothing_moved(root, manifest, days)


def test_a_month_with_its_rows_twice_keeps_all_days(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    put(root, manifest, MONTH, [row for row in ALL_ROWS for _ in range(2)])
    assert pruned(root, manifest) == [DaysKept(MONTH, COUNT, "its rows are not those of BTCUSDT-1h-2025-07-01.zip")]
    assert nothing_moved(root, manifest, days)
    assert verdict_of(manifest) is Verdict.GAPS


def test_rows_of_days_that_are_not_on_disk_do_not_count(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    del days
    put(root, manifest, MONTH, [*ALL_ROWS, *rows_of(an_object(JULY + timedelta(days=COUNT + 4)))])
    assert isinstance(pruned(root, manifest)[0], DaysCovered)


def test_a_day_that_is_there_twice_keeps_all_days(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    """One known key has a date without a leading zero."""
    odd = bundled().object_of(DAYS[0].key.replace("2025-07-01", "2025-7-1"))
    assert odd is not None
    put(root, manifest, odd, rows_of(DAYS[0]))
    put(root, manifest, MONTH, ALL_ROWS)
    (event,) = pruned(root, manifest)
    assert event == DaysKept(MONTH, COUNT + 1, "two of its daily objects are of the same day")
    assert nothing_moved(root, manifest, days)


def test_one_row_that_is_missing_keeps_all_days_and_marks_the_month(
    root: Root, manifest: Manifest, days: list[bytes]
) -> None:
    put(root, manifest, MONTH, [row for row in ALL_ROWS if row != rows_of(DAYS[1])[7]])
    reason = "its rows are not those of BTCUSDT-1h-2025-07-02.zip"
    before = manifest.entry(MONTH.key)
    assert pruned(root, manifest) == [DaysKept(MONTH, COUNT, reason)]
    assert nothing_moved(root, manifest, days)
    after = manifest.entry(MONTH.key)
    assert before is not None
    assert after is not None
    assert (after.verdict, after.etag, after.sha256) == (Verdict.GAPS, before.etag, before.sha256)
    assert check_stored(root, MONTH.key, after).verdict is Verdict.GAPS
    assert pruned(root, manifest) == [DaysKept(MONTH, COUNT, reason)]


@pytest.mark.parametrize("known_as", [Verdict.OK, Verdict.GAPS])
def test_an_unproven_day_does_not_blame_the_month(
    root: Root, manifest: Manifest, days: list[bytes], known_as: Verdict
) -> None:
    put(root, manifest, MONTH, ALL_ROWS, verdict=known_as)
    write_zip(root.file(KEYS[1]), ["1,another row"])
    days[1] = root.file(KEYS[1]).read_bytes()
    (event,) = pruned(root, manifest)
    assert isinstance(event, DaysKept)
    assert event.reason.startswith("its rows are not those of BTCUSDT-1h-2025-07-02.zip, which is corrupt: SHA-256 is")
    assert nothing_moved(root, manifest, days)
    assert verdict_of(manifest) is known_as


def test_a_month_that_has_got_its_rows_is_rid_of_its_gaps(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    del days
    put(root, manifest, MONTH, ALL_ROWS, verdict=Verdict.GAPS)
    assert isinstance(pruned(root, manifest)[0], DaysCovered)
    assert verdict_of(manifest) is Verdict.OK


def test_a_month_whose_zip_is_broken_moves_nothing(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    month = put(root, manifest, MONTH, ALL_ROWS)
    break_off(month)
    seal(root, MONTH)  # its checksum matches, as with those of the archive
    (event,) = pruned(root, manifest)
    assert isinstance(event, DaysKept)
    assert event.reason.startswith("the zip is broken: ")
    assert nothing_moved(root, manifest, days)
    assert verdict_of(manifest) is Verdict.BAD_ZIP


@pytest.mark.parametrize("known_as", [Verdict.OK, Verdict.GAPS])
def test_a_day_whose_zip_is_broken_keeps_all_days_and_does_not_blame_the_month(
    root: Root, manifest: Manifest, known_as: Verdict
) -> None:
    files = [put(root, manifest, day, rows_of(day)) for day in DAYS]
    files[2].write_bytes(b"no zip")
    put(root, manifest, MONTH, ALL_ROWS, verdict=known_as)
    days = [file.read_bytes() for file in files]
    (event,) = pruned(root, manifest)
    assert isinstance(event, DaysKept)
    assert event.reason == f"of {files[2].name}, the zip is broken: File is not a zip file"
    assert nothing_moved(root, manifest, days)
    assert verdict_of(manifest) is known_as


def without_sidecar(root: Root) -> None:
    root.file(MONTH.sidecar_key).unlink()


def spoil(root: Root) -> None:
    root.file(MONTH.key).write_bytes(b"spoilt")


def vanish(root: Root) -> None:
    root.file(MONTH.key).unlink()


@pytest.mark.parametrize(
    ("known_as", "harm", "reason"),
    [
        (Verdict.SIDECAR_MISSING, without_sidecar, "it is sidecar-missing: SHA-256 as in the manifest"),
        (Verdict.UNPROVEN, without_sidecar, "it is unproven: SHA-256 as in the manifest"),
        (Verdict.GAPS, without_sidecar, "it is unproven: neither a sidecar nor the manifest has its SHA-256"),
        (Verdict.OK, spoil, "it is corrupt: SHA-256 is"),
        (Verdict.OK, vanish, "it is missing: the file does not exist"),
    ],
)
def test_a_month_that_is_not_proven_moves_nothing(
    root: Root, manifest: Manifest, days: list[bytes], known_as: Verdict, harm: Callable[[Root], None], reason: str
) -> None:
    put(root, manifest, MONTH, ALL_ROWS, verdict=known_as)
    harm(root)
    (event,) = pruned(root, manifest)
    assert isinstance(event, DaysKept)
    assert event.reason.startswith(reason)
    assert nothing_moved(root, manifest, days)
    assert verdict_of(manifest) is known_as


def test_a_month_that_the_manifest_does_not_know_moves_nothing(
    root: Root, manifest: Manifest, days: list[bytes]
) -> None:
    put(root, None, MONTH, ALL_ROWS)
    assert pruned(root, manifest) == [DaysKept(MONTH, COUNT, "it is not in the manifest")]
    assert nothing_moved(root, manifest, days)


def test_a_month_proven_by_the_listing_alone_is_proven(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    """As with ``download_checksum: false``."""
    del days
    put(root, manifest, MONTH, ALL_ROWS, sidecar=False)
    assert isinstance(pruned(root, manifest)[0], DaysCovered)


def test_unrecorded_days_without_sidecars_go_aside_too(root: Root, manifest: Manifest) -> None:
    for day in DAYS:
        put(root, None, day, rows_of(day), sidecar=False)
    put(root, manifest, MONTH, ALL_ROWS)
    (event,) = pruned(root, manifest)
    assert isinstance(event, DaysCovered)
    assert event.moved == KEYS
    assert sorted(path.name for path in root.covered.rglob("*.*")) == [Path(key).name for key in KEYS]


@pytest.mark.parametrize("taken", ["", ".CHECKSUM"])
def test_what_is_aside_already_is_not_overwritten(
    root: Root, manifest: Manifest, days: list[bytes], taken: str
) -> None:
    put(root, manifest, MONTH, ALL_ROWS)
    aside = root.covered / KEYS[0]
    aside.parent.mkdir(parents=True)
    aside.with_name(aside.name + taken).write_bytes(b"of old")
    pruned(root, manifest)
    assert aside.with_name(aside.name + taken).read_bytes() == b"of old"
    assert aside.with_name(aside.name + ".2").read_bytes() == days[0]
    assert aside.with_name(aside.name + ".2.CHECKSUM").is_file()


def test_cancelled_before_anything_is_moved(root: Root, manifest: Manifest, days: list[bytes]) -> None:
    put(root, manifest, MONTH, ALL_ROWS)
    context = context_of(root)
    events = []
    for event in prune(context, manifest, MONTH):
        events.append(event)
        if event == Comparing(MONTH, COUNT, 2):
            context.cancellation.request()
    assert events == [Comparing(MONTH, COUNT, held) for held in range(3)]
    assert nothing_moved(root, manifest, days)


def failing(calls: int, failure: BaseException) -> Callable[[Path, Path], Path]:
    """Return a rename that fails from the given call on."""
    real = Path.rename
    seen = iter(range(1_000))

    def rename(self: Path, target: Path) -> Path:
        if next(seen) >= calls:
            raise failure
        return real(self, target)

    return rename


@pytest.mark.parametrize("moved", [0, 1])
def test_a_folder_that_may_not_be_written_to_keeps_what_is_in_it(
    root: Root, manifest: Manifest, days: list[bytes], monkeypatch: pytest.MonkeyPatch, moved: int
) -> None:
    put(root, manifest, MONTH, ALL_ROWS)
    denied = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(Path, "rename", failing(2 * moved, denied))
    events = pruned(root, manifest)
    stays = COUNT - moved
    name = Path(KEYS[moved]).name
    assert events[-1] == DaysKept(MONTH, stays, f"{name} cannot be moved: Permission denied")
    assert [type(event) for event in events[:-1]] == [DaysCovered] * moved
    assert [root.file(key).read_bytes() for key in KEYS[moved:]] == days[moved:]
    assert [manifest.entry(key) is None for key in KEYS] == [True] * moved + [False] * stays


def test_a_full_disk_ends_the_run(
    root: Root, manifest: Manifest, days: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    del days
    put(root, manifest, MONTH, ALL_ROWS)
    monkeypatch.setattr(Path, "rename", failing(0, OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(RootUnusable, match="The disk of the output directory is full"):
        pruned(root, manifest)
    assert all(manifest.entry(key) is not None for key in KEYS)


@pytest.mark.parametrize("renames", [None, *range(2 * COUNT)])
def test_killed_between_any_two_steps_nothing_is_lost(
    root: Root, days: list[bytes], manifest: Manifest, monkeypatch: pytest.MonkeyPatch, renames: int | None
) -> None:
    """None: before the manifest forgets; a number: so many renames later."""
    put(root, manifest, MONTH, ALL_ROWS)
    manifest.flush()
    with monkeypatch.context() as patched:
        if renames is None:
            patched.setattr(Manifest, "forget", lambda *_: (_ for _ in ()).throw(Killed()))
        else:
            patched.setattr(Path, "rename", failing(renames, Killed()))
        with pytest.raises(Killed):
            pruned(root, manifest)
    # What another process finds; the killed one never closed its manifest.
    with Manifest(root.manifest_path, read_only=True) as found:
        for key, content in zip(KEYS, days, strict=True):
            places = [path for path in (root.file(key), root.covered / key) if path.exists()]
            assert [path.read_bytes() for path in places] == [content]
            entry = found.entry(key)
            assert entry is None or root.file(key).exists()
            if root.file(key).exists():
                assert check_stored(root, key, entry).verdict in {Verdict.OK, Verdict.UNPROVEN}
    with Manifest(root.manifest_path) as later:
        events = pruned(root, later)
        done = 0 if renames is None else renames // 2
        assert [event.moved for event in events if isinstance(event, DaysCovered)] == [KEYS[done:]]
    for key, content in zip(KEYS, days, strict=True):
        assert (root.covered / key).read_bytes() == content
        assert (root.covered / (key + ".CHECKSUM")).is_file()
    assert not any(root.file(key + end).exists() for key in KEYS for end in ("", ".CHECKSUM"))


def test_a_key_that_leads_elsewhere_is_refused(root: Root) -> None:
    with pytest.raises(ValueError, match="not a plain path below the archive root"):
        move_aside(root, "data/../../x.zip")


# Which months are looked at


def settled(item: ArchiveObject, outcome: Outcome) -> ObjectFinished:
    return ObjectFinished(item, outcome)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_months_that_are_there_and_have_days_are_looked_at(
    root: Root, manifest: Manifest, days: list[bytes], outcome: Outcome
) -> None:
    del manifest, days
    with CoveringMonths(context_of(root)) as months:
        months.note(settled(MONTH, outcome))
        there = {Outcome.PRESENT, Outcome.FETCHED, Outcome.UPDATED}
        assert list(months) == ([MONTH] if outcome in there else [])


def test_what_has_no_days_on_disk_is_not_looked_at(root: Root, days: list[bytes]) -> None:
    del days
    funding = row_of(Market.FUTURES_UM, "fundingRate").object("BTCUSDT", None, MONTH.period)
    others = [
        DAYS[0],
        an_object(date(2025, 6, 1), Partition.MONTHLY),
        an_object(JULY, Partition.MONTHLY, "1w"),
        funding,
    ]
    with CoveringMonths(context_of(root)) as months:
        for other in others:
            months.note(settled(other, Outcome.FETCHED))
        months.note(settled(MONTH, Outcome.FETCHED))
        assert list(months) == [MONTH]
    assert list(root.staging.iterdir()) == []


def test_a_folder_is_read_once_for_all_of_its_months(
    root: Root, days: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    del days
    looks = []
    real = prune_module.months_with_days
    monkeypatch.setattr(prune_module, "months_with_days", lambda *given: (looks.append(given), real(*given))[1])
    with CoveringMonths(context_of(root)) as months:
        for number in range(1, 13):
            months.note(settled(an_object(date(2025, number, 1), Partition.MONTHLY), Outcome.PRESENT))
        assert list(months) == [MONTH]
    assert len(looks) == 1


@pytest.mark.parametrize("linked", ["covered", "data"])
def test_days_are_not_moved_through_a_link_out_of_the_root(
    root: Root, manifest: Manifest, days: list[bytes], tmp_path: Path, linked: str
) -> None:
    put(root, manifest, MONTH, ALL_ROWS)
    outside = tmp_path / "outside"
    folder = root.file(DAYS[0].key).parent
    if linked == "data":
        folder.rename(outside)
        folder.symlink_to(outside, target_is_directory=True)
    else:
        outside.mkdir()
        root.covered.mkdir()
        (root.covered / "data").symlink_to(outside, target_is_directory=True)
    before = sorted(outside.rglob("*"))
    (kept,) = pruned(root, manifest)
    assert isinstance(kept, DaysKept)
    assert kept.reason.endswith("cannot be moved: a link leads out of the archive root")
    assert sorted(outside.rglob("*")) == before
    assert [root.file(key).read_bytes() for key in KEYS] == days
    assert all(manifest.entry(key) is not None for key in KEYS)
