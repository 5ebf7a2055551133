"""The checks of the doctor one by one: what they find, and that none of them hides another."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from crypto_archive.config.load import load_run_config
from crypto_archive.config.run_config import Access
from crypto_archive.errors import EnvironmentFailure, ExitCode, ManifestUnreadable
from crypto_archive.jobs import doctor as checks
from crypto_archive.jobs.doctor import (
    Check,
    CheckStatus,
    DoctorReport,
    Finding,
    check_clock,
    check_layout,
    check_listing,
    check_lock,
    check_manifest,
    check_proxy,
    check_space,
    check_writable,
    doctor,
    proxy_for,
)
from crypto_archive.root.database import FIELDS, SCHEMA_VERSION, connect_onlooker, examine
from crypto_archive.root.layout import LayoutNote, write_note
from crypto_archive.root.manifest import Manifest
from crypto_archive.root.store import Root, open_root
from crypto_archive.s5cmd.listing import Probe
from crypto_archive.s5cmd.output import Fault
from crypto_archive.transfer.concurrency import FEWEST
from tests.unit.config.test_presets import TODAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.config.run_config import RunConfig

OK, WARNING, FAILED = CheckStatus
NOON = datetime(2025, 7, 15, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "root")


def configured(**options: object) -> RunConfig:
    return load_run_config([], options, today=TODAY)


# Proxy


@pytest.mark.parametrize(
    ("endpoint", "environ", "told"),
    [
        ("https://s3.example.com", {}, None),
        ("https://s3.example.com", {"HTTPS_PROXY": ""}, None),
        ("https://s3.example.com", {"HTTP_PROXY": "http://p:3128"}, None),
        ("https://s3.example.com", {"https_proxy": "http://p:3128"}, "https_proxy=http://p:3128"),
        ("https://s3.example.com", {"HTTPS_PROXY": "a:1", "https_proxy": "b:2"}, "HTTPS_PROXY=a:1"),
        ("https://s3.example.com", {"HTTPS_PROXY": "http://me:secret@p:3128"}, "HTTPS_PROXY=http://p:3128"),
        ("https://s3.example.com", {"HTTPS_PROXY": "me:secret@p:3128"}, "HTTPS_PROXY=p:3128"),
        ("https://s3.example.com", {"HTTPS_PROXY": "http://me:p@ss/w@rd?#x@p:3128"}, "HTTPS_PROXY=http://p:3128"),
        ("https://s3.example.com", {"HTTPS_PROXY": "me:p@ss/w:/@rd@p:3128"}, "HTTPS_PROXY=p:3128"),
        ("http://127.0.0.1:9000", {"HTTP_PROXY": "p"}, "none for 127.0.0.1, which is this machine (HTTP_PROXY is set)"),
        ("http://localhost:9000", {"HTTP_PROXY": "p"}, "none for localhost, which is this machine (HTTP_PROXY is set)"),
    ],
)
def test_the_proxy_is_the_one_that_s5cmd_takes(endpoint: str, environ: Mapping[str, str], told: str | None) -> None:
    assert proxy_for(endpoint, environ) == told


@pytest.mark.parametrize(
    ("excepted", "spares"),
    [
        ("*", True),
        ("example.com", True),
        (".example.com", True),
        (".s3.example.com", False),
        ("*.s3.example.com", False),
        ("*.example.com", True),
        ("other.com, S3.EXAMPLE.COM", True),
        ("s3.example.com:443", True),
        ("s3.example.com:80", False),
        ("ample.com", False),
        ("10.0.0.0/8", False),
        ("", False),
    ],
)
def test_no_proxy_is_read_as_s5cmd_reads_it(excepted: str, spares: bool) -> None:
    told = proxy_for("https://s3.example.com", {"HTTPS_PROXY": "p", "NO_PROXY": excepted})
    expected = "none for s3.example.com, because of NO_PROXY (HTTPS_PROXY is set)" if spares else "HTTPS_PROXY=p"
    assert told == expected


def test_networks_in_no_proxy() -> None:
    environ = {"HTTP_PROXY": "p", "no_proxy": "10.0.0.0/8"}
    assert proxy_for("http://10.1.2.3:9000", environ) == "none for 10.1.2.3, because of no_proxy (HTTP_PROXY is set)"
    assert proxy_for("http://11.1.2.3:9000", environ) == "HTTP_PROXY=p"


def test_unknown_arguments_of_s5cmd_and_missing_files_are_reported() -> None:
    access = Access("https://s3.example.com")
    unknown = check_proxy(access, {"ALL_PROXY": "socks5://p"})
    assert (unknown.status, unknown.found) == (WARNING, "none")
    assert unknown.advice == "s5cmd ignores ALL_PROXY; set HTTPS_PROXY to use that proxy."
    missing = check_proxy(access, {"AWS_CA_BUNDLE": "/nonexistent/ca.pem"})
    assert (missing.status, missing.found) == (WARNING, "none; AWS_CA_BUNDLE=/nonexistent/ca.pem")
    assert missing.advice.startswith("AWS_CA_BUNDLE names a file that does not exist")


# Clock and listing


@pytest.mark.parametrize(
    ("ahead", "took", "status", "found"),
    [
        (0.9, 0.1, OK, "agrees with the server's"),
        (-59, 0.1, OK, "agrees with the server's"),
        (68, 8.0, OK, "agrees with the server's"),  # the answer itself may have been that long on its way
        (90, 0.1, WARNING, "89 seconds ahead of the server's"),
        (-80, 8.0, WARNING, "80 seconds behind the server's"),
        (-3600, 0.1, FAILED, "60 minutes behind the server's"),
        (86_400 * 40, 0.1, FAILED, "40 days ahead of the server's"),
    ],
)
def test_clocks_are_compared(ahead: float, took: float, status: CheckStatus, found: str) -> None:
    trial = Probe(answered=True, seconds=took, server_time=NOON, local_time=NOON + timedelta(seconds=ahead))
    check = check_clock(Access(), trial)
    assert (check.status, check.found) == (status, found)


def test_a_server_that_does_not_say_its_time() -> None:
    assert check_clock(Access(), Probe(answered=True)).status is WARNING


def test_a_denied_signed_request_hints_that_signing_is_not_needed() -> None:
    trial = Probe(answered=True, error="AccessDenied", fault=Fault.DENIED)
    signed = check_listing(Access(extra_args=("--profile=me",)), trial)
    assert "without --profile" in signed.advice
    assert "without --profile" not in check_listing(Access(), trial).advice


# Root


def test_a_root_that_is_not_there_is_judged_by_the_folder_above(root: Root) -> None:
    assert check_writable(root).found == f"{root.path} does not exist yet; {root.path.parent} is writable"
    assert not root.path.exists()


@pytest.mark.parametrize("protected", ["", ".crypto-archive", ".crypto-archive/staging", "data"])
def test_folders_that_may_not_be_written_to(root: Root, protected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_root(root.path)
    root.data.mkdir()
    refused = root.path / protected
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != refused)  # no folder is closed to root
    check = check_writable(root)
    assert (check.status, check.found) == (FAILED, f"{refused} is not writable")


def test_a_dangling_link_is_not_a_root(root: Root) -> None:
    root.path.symlink_to(root.path.with_name("gone"))
    assert check_writable(root).found == f"{root.path} is not a folder"


@pytest.mark.parametrize(
    ("free", "files", "status"),
    [(1 << 40, 10**6, OK), (1 << 40, None, OK), (1 << 29, 10**6, WARNING), (1 << 40, 9_999, WARNING),
     (1 << 20, 10**6, FAILED), (1 << 40, 0, FAILED)],
)  # fmt: skip
def test_space_is_bytes_and_files(
    root: Root, free: int, files: int | None, status: CheckStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "free_bytes", lambda _: free)
    monkeypatch.setattr(checks, "_free_files", lambda _: files)
    assert check_space(root).status is status


def test_a_disk_that_does_not_count_files(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    class Disk(NamedTuple):
        f_bavail: int = 1 << 30
        f_blocks: int = 1 << 30
        f_bfree: int = 1 << 30
        f_frsize: int = 4096
        f_favail: int = 0
        f_files: int = 0

    monkeypatch.setattr(os, "statvfs", lambda _: Disk())
    assert "files" not in check_space(root).found


def test_a_lock_that_a_killed_run_has_left_is_free(root: Root) -> None:
    open_root(root.path)
    root.lock_path.touch()
    note = root.lock_path.with_name("lock.json")
    note.write_text('{"pid": 4194305, "host": "' + os.uname().nodename + '", "started": "", "purpose": "collect"}')
    assert check_lock(root).found == "free; its last holder was killed"


def test_files_on_their_way_to_another_layout_are_reported(root: Root) -> None:
    assert check_layout(root) == Finding(OK, "mirror")
    open_root(root.path)
    write_note(root, LayoutNote("hive"))
    assert check_layout(root) == Finding(OK, "hive")
    write_note(root, LayoutNote("hive", "mirror"))
    check = check_layout(root)
    assert (check.status, check.found) == (FAILED, "files are on their way from 'hive' to 'mirror'")
    assert "`crypto-archive relayout --to 'mirror'`" in check.advice


def test_no_lock_file_is_made(root: Root) -> None:
    open_root(root.path)
    assert check_lock(root) == Finding(OK, "free")
    assert not root.lock_path.exists()


# Manifest


def manifest(root: Root) -> Path:
    open_root(root.path)
    Manifest(root.manifest_path).close()
    return root.manifest_path


def test_a_manifest_is_looked_at_without_a_trace(root: Root) -> None:
    path = manifest(root)
    before = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
    assert check_manifest(root, 10) == Finding(OK, f"sound, version {SCHEMA_VERSION}, 0 objects")
    assert {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()} == before


def test_what_a_writer_has_in_its_log_counts(root: Root) -> None:
    path = manifest(root)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO object VALUES ('k', 1, '', 'ok', '', NULL, '', '', NULL)")
        writer.commit()
        assert examine(path, 10).objects == 1


def test_a_manifest_that_takes_too_long(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest(root)
    monkeypatch.setattr("crypto_archive.root.database._STEPS", 1)
    check = check_manifest(root, -1)
    assert check.status is WARNING
    assert "not fully read in" in check.found


def test_damage_that_only_a_whole_look_finds(root: Root) -> None:
    path = manifest(root)
    with closing(sqlite3.connect(path)) as writer:
        rows = [(f"{number:0>500}", 1, "", "ok", "", None, "", "") for number in range(200)]
        writer.executemany(f"INSERT INTO history ({FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", rows)
        writer.commit()
    whole = path.read_bytes()
    path.write_bytes(whole[:-4096] + bytes(4096))  # the last page, which is one of the history
    with closing(connect_onlooker(path)) as reader:
        assert reader.execute("SELECT count(*) FROM object").fetchone() == (0,)
    with pytest.raises(ManifestUnreadable, match="The manifest is damaged"):
        examine(path, 10)


def test_another_program_s_database_is_not_a_manifest(root: Root) -> None:
    open_root(root.path)
    with closing(sqlite3.connect(root.manifest_path)) as other:
        other.execute("CREATE TABLE songs (name)")
    with pytest.raises(ManifestUnreadable, match="is not a manifest of crypto-archive"):
        check_manifest(root, 10)


# Installation


def test_extras_are_those_that_the_package_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["typer>=0.15", 'prefect>=3.4; extra == "prefect"', "prefect-dask>=0.3 ; extra == 'dask'",
                "prefect<4,>=3.4; extra == 'dask'", "crypto-archive[prefect]; extra == 'dask'",
                'distributed[x]>=2024; python_version > "3" and extra == "dask"']  # fmt: skip
    installed = {"prefect": "3.4.1", "distributed": "2025.1"}
    monkeypatch.setattr(checks.importlib.metadata, "requires", lambda _: declared)
    monkeypatch.setattr(checks, "_version", installed.get)
    check = checks.check_extras()
    assert check.found == "prefect (prefect 3.4.1), dask (prefect-dask missing, prefect 3.4.1, distributed 2025.1)"
    assert (check.status, check.advice) == (
        WARNING,
        "Install what is missing: `pip install 'crypto-archive[dask]'`.",
    )
    del installed["distributed"]
    check = checks.check_extras()
    assert (check.status, check.found) == (OK, "prefect (prefect 3.4.1), dask not installed")
    installed.clear()
    check = checks.check_extras()
    assert (check.status, check.found) == (OK, "prefect not installed, dask not installed")


def test_a_variable_without_meaning_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRYPTO_ARCHIVE_OUTPUT_DIRECTORY", "/data")
    monkeypatch.setenv("CRYPTO_ARCHIVE_ENDPOINT", "http://127.0.0.1:9000")
    check = checks.check_settings(configured())
    assert (check.status, check.found) == (WARNING, "output_directory from CRYPTO_ARCHIVE_OUTPUT_DIRECTORY")
    assert "did you mean CRYPTO_ARCHIVE_ENDPOINT_URL?" in check.advice


def test_too_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    limits = (FEWEST + 10, FEWEST + 10)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("a look changes nothing"))
    assert checks.check_open_files(8).status is WARNING
    limits = (8, 1 << 20)  # may be raised
    assert checks.check_open_files(8).status is OK
    limits = (8, 8)
    with pytest.raises(EnvironmentFailure):
        checks.check_open_files(8)


# All of them


def test_a_check_that_breaks_hides_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Finding:
        raise RuntimeError("by order of the test")

    def closed(*_: object) -> Finding:
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr(checks, "check_matrix", broken)
    monkeypatch.setattr(checks, "check_lock", closed)
    monkeypatch.setattr(checks, "probe", broken)
    found = {check.name: check for check in doctor(configured(output_directory=str(tmp_path / "none")))}
    assert len(found) == 16
    assert found["matrix"].found == "cannot be checked: RuntimeError('by order of the test')"
    assert found["lock"].found == "cannot be checked: [Errno 13] Permission denied: '/secret'"
    assert {found[name].status for name in ("endpoint", "listing", "clock")} == {FAILED}
    assert found["manifest"].status is found["s5cmd"].status is OK
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("statuses", "worst", "code"),
    [([], OK, 0), ([OK, WARNING, OK], WARNING, 0), ([FAILED, OK, WARNING], FAILED, 5)],
)
def test_the_worst_decides(statuses: list[CheckStatus], worst: CheckStatus, code: int) -> None:
    made = [Check("name", status, "found") for status in statuses]
    report = DoctorReport(made)
    assert (report.status, report.exit_code()) == (worst, ExitCode(code))
    assert json.loads(json.dumps(report.document()))["status"] == worst
    assert [*report] == made
