"""A server that lies in its listing, and symbols that are none: nothing outside the root, no command in a run-file."""

from __future__ import annotations

import hashlib
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.archive.fake_s3 import FakeS3, entry, folder
from tests.archive.results import FOLDER, KEYS, THREE, collect, copied_by, files_below, stored
from tests.archive.sample import SIDECAR
from tests.zips import zip_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.results import Collected
    from tests.archive.running import Runner

START = FOLDER + "BTCUSDT-1h-2025-07-"
HOSTILE = (
    f"{START}../../../../../../../../escaped.zip",
    f"{FOLDER}../../../../../../../escaped.zip",
    f"../{START}13.zip",
    "/etc/escaped.zip",
    f"{START}13.zip\ncp s3://b/x escaped",
    f"{START}13.zip\r\ntouch escaped",
    f"{START}13'; touch escaped; '.zip",
    f'{START}13"; touch escaped; ".zip',
    f"{START}$(touch escaped).zip",
    f"{START}`touch escaped`.zip",
    f"{START}*.zip",
    f"{START}{'x' * 300}.zip",
    f"{FOLDER}{'B' * 300}-1h-2025-07-13.zip",
    f"{START}13.zip/",
    f"{START}//13.zip",
    f"{START}13.zip\\..\\..\\escaped.zip",
    f"{START}13.zip/../../../../../../../../../escaped.zip",
    f"{START}13.zip../../../../../../../../../../escaped.zip",
    f"{START}13.zip/../../../../../../../../../{FOLDER}escaped.zip.CHECKSUM",
    f"{START}2025-07-99.zip",
    FOLDER,
    KEYS[0].replace("BTCUSDT", "ETHUSDT"),
    KEYS[0].replace("1h", "1d"),
    KEYS[0].replace("/daily/", "/monthly/").replace("-13.zip", ".zip"),
    KEYS[0].replace("data/spot", "data/futures/um"),
    ".crypto-archive/manifest.sqlite",
)
"""Keys that nobody asked for, or that no object may have."""
ODD_FOLDERS = ("..", ".", "A*B", "A?", "A\nB", "x" * 300, "")


def with_sidecar(server: FakeS3, key: str, size: int | None = None) -> list[str]:
    """Hold an object with its sidecar, and return their entries."""
    name = key.rpartition("/")[2]
    content = zip_of(name)
    server.hold(key, content)
    text = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
    server.hold(key + SIDECAR, text)
    return [entry(key, len(content) if size is None else size), entry(key + SIDECAR, len(text))]


def assert_nothing_escaped(done: Collected, tmp_path: Path) -> None:
    """All that was written has its place, and the run-files hold copies of planned objects and nothing else."""
    below = files_below(done.root)
    assert all(name.startswith(("data/spot/daily/klines/BTCUSDT/", ".crypto-archive/")) for name in below), below
    assert not [path for path in tmp_path.rglob("*escaped*") if path.is_file()]
    for commands in done.run_files:
        for line in commands:
            assert shlex.split(line)[0] == "cp"
            copied = copied_by(line, [key + suffix for key in (*KEYS, *HOSTILE) for suffix in ("", SIDECAR)])
            assert {key.removesuffix(SIDECAR) for key in copied} <= set(KEYS)


def test_a_hostile_listing_plans_what_was_asked_for_and_nothing_else(run: Runner, tmp_path: Path) -> None:
    with FakeS3() as server:
        good = [line for key in KEYS for line in with_sidecar(server, key)]
        server.listing = [*(entry(key, 7) for key in HOSTILE), *good, *(entry(key, 7) for key in HOSTILE)]
        for key in HOSTILE:
            server.hold(key, b"hostile")
        done = collect(run.at(server.endpoint_url), *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert stored(done.root) == set(KEYS)
    assert_nothing_escaped(done, tmp_path)
    assert {key for method, key in server.seen if method == "GET"} == {*KEYS, *(key + SIDECAR for key in KEYS)}


def test_an_object_that_is_listed_twice_is_planned_once(run: Runner, tmp_path: Path) -> None:
    with FakeS3() as server:
        first, second, third = (with_sidecar(server, key) for key in KEYS)
        twice = entry(KEYS[0], 7)
        server.listing = [first[0], twice, first[1], *second, *second, *third, *first, twice]
        done = collect(run.at(server.endpoint_url), *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert [notice for notice in done.report["notices"] if "lists 4 objects more than once" in notice]
    assert sorted(event["key"] for event in done.events("object-planned")) == list(KEYS)
    assert (done.root / KEYS[0]).read_bytes() == zip_of(KEYS[0].rpartition("/")[2])
    assert_nothing_escaped(done, tmp_path)


def test_a_size_that_is_a_lie_is_outweighed_by_the_sidecar(run: Runner, tmp_path: Path) -> None:
    with FakeS3() as server:
        lies = [with_sidecar(server, key, size=size) for key, size in zip(KEYS, (0, 1, 10_000), strict=True)]
        server.listing = [line for pair in lies for line in pair]
        done = collect(run.at(server.endpoint_url), *THREE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 3}, {"ok": 3})
    assert_nothing_escaped(done, tmp_path)


@pytest.mark.parametrize(
    "lie",
    [entry(KEYS[0], -5), entry(KEYS[0], 10**30), entry(KEYS[0] + "\0", 5), "<Contents>", entry(KEYS[0], 2**63 - 1)],
    ids=["negative", "beyond-all-numbers", "NUL", "torn", "all-disks"],
)
def test_a_listing_that_cannot_be_is_none_at_all(run: Runner, lie: str) -> None:
    with FakeS3() as server:
        server.listing = [lie, *with_sidecar(server, KEYS[1])]
        code, stdout, stderr = run.at(server.endpoint_url)("collect", *THREE, "-o", "archive")
    assert code == 5, stdout + stderr
    assert "Traceback" not in stderr
    assert stored(run.folder / "archive") == set()


def test_folders_that_cannot_be_symbols_are_left_out_and_named(run: Runner, tmp_path: Path) -> None:
    def listing(prefix: str) -> str:
        if prefix.endswith("/klines/"):
            inner = "".join(folder(f"{prefix}{name}/") for name in (*ODD_FOLDERS, "BTCUSDT"))
        else:
            inner = "".join(good) if prefix in KEYS[0] else ""
        return f"<ListBucketResult>{inner}<IsTruncated>false</IsTruncated></ListBucketResult>"

    with FakeS3() as server:
        good = [line for key in KEYS for line in with_sidecar(server, key)]
        server.listing = listing
        selection = [word if word != "BTCUSDT" else "*" for word in THREE]
        done = collect(run.at(server.endpoint_url), *selection)
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert [notice for notice in done.report["notices"] if "folders of the archive that cannot be symbols" in notice]
    assert_nothing_escaped(done, tmp_path)


def test_what_cannot_be_a_symbol_is_refused(run: Runner) -> None:
    wrong = ("../../etc", "..", ".", "", "a\nb", "a/b", "!..", "x" * 300, "币" * 100)
    words = [word for symbol in wrong for word in ("-s", symbol)]
    code, stdout, stderr = run("collect", "-m", "spot", "-t", "klines", "-i", "1h", *words, "--last", "3d")
    assert (code, stdout) == (2, "")
    assert f"Error: {len(wrong)} problems" in stderr
    assert "'../../etc' is not a valid symbol; write a name like BTCUSDT" in stderr
    assert "'xxxxxxxxxxxxxxxxxxxx…' is too long for a symbol; the maximum is 200 bytes" in stderr
    assert len(stderr) < 3000
    assert files_below(run.folder) == []


@pytest.mark.parametrize("discovery", ["listing", "calendar"])
def test_odd_symbols_are_asked_for_as_they_are(run: Runner, discovery: str) -> None:
    odd = ("a b", "$(touch escaped)", "a'b", "-rf", "%2e%2e", "x" * 200)
    words = [word for symbol in odd for word in ("-s", symbol)]
    options = ("-m", "spot", "-t", "klines", "-i", "1h", *words, "--start", "2025-07-13", "--end", "2025-07-13")
    done = collect(run, *options, "--discover", discovery)
    assert done.code == 3
    assert done.outcomes == ({"absent": len(odd)} if discovery == "calendar" else {})
    assert not list(run.folder.rglob("escaped"))
    for commands in done.run_files:
        assert {shlex.split(line)[0] for line in commands} == {"cp"}
