from __future__ import annotations

import errno
import json
import os
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from crypto_archive.errors import ExitCode, RootUnusable
from crypto_archive.events import Cancellation, Checked
from crypto_archive.jobs import verify as module
from crypto_archive.jobs.verify import BAD_KEPT, Expected, VerifyReport, check_files, stored_objects
from crypto_archive.model import Market, Verdict
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.proof import Proof, check_stored
from crypto_archive.root.store import Root, open_root
from tests.objects import an_object, context_of, entry_of
from tests.zips import zip_of

BAD = {verdict for verdict in Verdict if verdict.is_bad}
SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "verify.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())

DOCUMENT_KEYS = [
    "schema_version",
    "status",
    "exit_code",
    "started_at",
    "seconds",
    "interrupted_by",
    "error",
    "output_directory",
    "objects",
    "bytes",
    "total_size_formatted",
    "verdicts",
    "by_market_and_type",
    "bad",
    "bad_omitted",
    "never_collected",
    "unknown_symbols",
    "repair",
    "versions",
]


def new_report() -> VerifyReport:
    return VerifyReport("output", started_at=datetime(2025, 7, 16, tzinfo=UTC), version="0.1.0")


def report_of(*verdicts: Verdict) -> VerifyReport:
    report = new_report()
    for verdict in verdicts:
        report.add(Checked("data/x.zip", Market.SPOT, "klines", verdict, 10, "because"))
    report.finish(2.0)
    return report


CHECKS = st.builds(
    Checked,
    st.text(),
    st.sampled_from(Market),
    st.sampled_from(["klines", "trades"]),
    st.sampled_from(Verdict),
    st.integers(0, 10**12),
    st.text(),
)


@given(st.lists(CHECKS))
def test_verdicts_add_up_to_the_objects(checks: list[Checked]) -> None:
    report = new_report()
    for checked in checks:
        report.add(checked)
    document = report.document()
    VALIDATOR.validate(document)
    assert sum(document["verdicts"].values()) == document["objects"] == len(checks)
    assert sum(group["objects"] for group in document["by_market_and_type"]) == len(checks)
    assert sum(group["bytes"] for group in document["by_market_and_type"]) == document["bytes"]
    bad = sum(document["verdicts"][verdict] for verdict in BAD)
    assert len(document["bad"]) + document["bad_omitted"] == bad
    assert (report.exit_code() is ExitCode.VERIFICATION) == (bad > 0)


def test_the_document_has_exactly_these_keys() -> None:
    document = report_of(Verdict.OK, Verdict.CORRUPT).document()
    assert list(document) == SCHEMA["required"] == DOCUMENT_KEYS
    assert list(document["by_market_and_type"][0]) == ["market", "data_type", "objects", "bytes", "verdicts"]
    assert document["bad"] == [
        {
            "key": "data/x.zip",
            "market": "spot",
            "data_type": "klines",
            "verdict": "corrupt",
            "at_fault": "local",
            "reason": "because",
            "size": 10,
        }
    ]
    assert document["started_at"] == "2025-07-16T00:00:00+00:00"


def test_the_schema_knows_the_same_words_as_the_model() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["market"]["enum"] == list(Market)
    assert SCHEMA["$defs"]["verdicts"]["required"] == list(Verdict)
    assert set(SCHEMA["properties"]["bad"]["items"]["properties"]["verdict"]["enum"]) == BAD


@pytest.mark.parametrize(
    ("verdicts", "status", "code"),
    [
        ([Verdict.OK], "success", ExitCode.OK),
        ([Verdict.OK, Verdict.SIDECAR_MISSING, Verdict.SIDECAR_STALE, Verdict.UNPROVEN], "success", ExitCode.OK),
        ([Verdict.SIDECAR_MALFORMED, Verdict.GAPS], "success", ExitCode.OK),
        ([Verdict.OK, Verdict.BAD_ZIP], "bad", ExitCode.VERIFICATION),
        ([Verdict.OK, Verdict.MISSING], "bad", ExitCode.VERIFICATION),
        ([Verdict.CORRUPT], "bad", ExitCode.VERIFICATION),
        ([], "empty", ExitCode.PARTIAL),
    ],
)
def test_status_and_exit_code(verdicts: list[Verdict], status: str, code: ExitCode) -> None:
    report = report_of(*verdicts)
    assert (report.status, report.exit_code()) == (status, code)


def test_the_archive_is_at_fault_for_a_broken_zip() -> None:
    (bad,) = report_of(Verdict.BAD_ZIP).document()["bad"]
    assert (bad["verdict"], bad["at_fault"]) == ("bad-zip", "archive")


def test_an_early_end_is_reported() -> None:
    report = report_of(Verdict.OK)
    report.finish(1.0, interrupted_by=2)
    assert (report.status, report.exit_code()) == ("interrupted", ExitCode.INTERRUPTED)
    assert report.document()["interrupted_by"] == "SIGINT"
    report.finish(1.0, error="the disk is gone")
    assert (report.status, report.exit_code()) == ("failed", ExitCode.ENVIRONMENT)
    VALIDATOR.validate(report.document())


def test_only_the_first_bad_objects_are_kept() -> None:
    document = report_of(*[Verdict.MISSING] * (BAD_KEPT + 3)).document()
    assert (len(document["bad"]), document["bad_omitted"]) == (BAD_KEPT, 3)
    VALIDATOR.validate(document)


# Which files are checked, and in which order


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(tmp_path / "archive")


def put(root: Root, *days: int, interval: str = "1h") -> list[str]:
    """Store objects of July 2025 without sidecars, and return their keys."""
    keys = [an_object(day, interval=interval).key for day in days]
    for key in keys:
        root.file(key).parent.mkdir(parents=True, exist_ok=True)
        root.file(key).write_bytes(zip_of(key.rpartition("/")[2]))
    return keys


def test_files_on_disk_come_in_the_order_of_folders_and_names(root: Root, tmp_path: Path) -> None:
    keys = put(root, 2, 1, 3)
    folder = root.file(keys[0]).parent
    other = folder.with_name("1d")
    other.mkdir()
    (other / "BTCUSDT-1d-2025-07-01.zip").write_bytes(b"")
    (folder / "notes.txt").write_text("not an object", encoding="utf-8")
    (folder / f"{an_object(4).key.rpartition('/')[2]}").symlink_to(tmp_path / "nowhere")
    (folder / f"{an_object(5).key.rpartition('/')[2]}").symlink_to(folder / keys[0].rpartition("/")[2])
    folder.with_name("4h").symlink_to(folder)
    found = [one.object.key for one in stored_objects(context_of(root))]
    day_folder = "data/spot/daily/klines/BTCUSDT/1d/"
    assert found == [f"{day_folder}BTCUSDT-1d-2025-07-01.zip", *sorted(keys), an_object(5).key]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_only_a_folder_that_may_not_be_read_is_passed_by(
    root: Root, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = put(root, 1)
    (root.data / "lost+found").mkdir()
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if path.name == "lost+found":
            raise OSError(number, os.strerror(number), str(path))
        return scandir(path)

    monkeypatch.setattr(module.os, "scandir", refusing)
    found = stored_objects(context_of(root))
    if number == errno.EACCES:
        assert [one.object.key for one in found] == keys
    else:
        with pytest.raises(RootUnusable, match="lost"):
            list(found)


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_proofs_come_in_order_whatever_the_groups(
    root: Root, recorded: bool, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = put(root, *range(1, 29))
    monkeypatch.setattr(module, "GROUP_FILES", 3)
    monkeypatch.setattr(module, "_GROUPS_UNTIL_TRIED", 3)
    if waits:  # all time that passes counts as waiting for the disk
        monkeypatch.setattr(module.time, "thread_time", lambda: 0.0)
    large = {keys[0], keys[7]}
    entries = [entry_of(key)._replace(size=module.GROUP_BYTES if key in large else 5) for key in keys]
    wanted = [
        Expected(an_object(day), entry if recorded else None) for day, entry in zip(range(1, 29), entries, strict=True)
    ]
    found = list(check_files(context_of(root), wanted))
    assert [one for one, _ in found] == wanted
    # The manifest knows other sizes than the files have.
    assert {proof.verdict for _, proof in found} == {Verdict.CORRUPT if recorded else Verdict.UNPROVEN}


DAYS = st.sets(st.integers(1, 6))


@given(DAYS, DAYS, DAYS, DAYS)
def test_all_that_is_on_disk_or_recorded_is_expected_once(
    stored: set[int], recorded: set[int], others_stored: set[int], others_recorded: set[int]
) -> None:
    with TemporaryDirectory() as folder:
        root = open_root(Path(folder, "archive"))
        on_disk = [*put(root, *stored), *put(root, *others_stored, interval="1m")]
        known = [an_object(day).key for day in recorded]
        known += [an_object(day, interval="1m").key for day in others_recorded]
        with Manifest(root.manifest_path) as manifest:
            for key in known:
                manifest.record(entry_of(key))
            found = list(module._everything(context_of(root), manifest))
    keys = [one.object.key for one in found]
    assert keys == [*sorted(on_disk), *sorted(set(known) - set(on_disk))]
    assert {one.object.key for one in found if one.entry is not None} == set(known)


def test_nothing_more_is_read_once_the_job_is_cancelled_or_closed(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, *range(1, 29))
    wanted = [Expected(an_object(day), None) for day in range(1, 29)]
    cancellation = Cancellation()
    read: list[str] = []

    def check(root: Root, key: str, *rest: object) -> Proof:
        read.append(key)
        if key == an_object(3).key:
            cancellation.request()
        return check_stored(root, key, None)

    monkeypatch.setattr(module, "check_stored", check)
    monkeypatch.setattr(module, "THREADS", 1)
    found = list(check_files(context_of(root, cancellation=cancellation), wanted))
    assert [one for one, _ in found] == wanted[:3]
    assert len(read) == 3
    read.clear()
    monkeypatch.setattr(module, "GROUP_FILES", 1)
    monkeypatch.setattr(module, "IN_FLIGHT", 2)
    with closing(check_files(context_of(root), wanted)) as checks:
        assert next(checks)[0] == wanted[0]
    assert len(read) <= 2
