"""A manifest that is damaged, too new or gone: told, and made anew from the files, none of which is lost with it."""

from __future__ import annotations

import json
import random
import shutil
import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.proxy import Stall
from tests.archive.results import KEYS, ROOT, THREE, assert_same_bytes, collect, stored, validate
from tests.archive.sample import SIDECAR, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Ended, Runner
    from tests.archive.served import Archive

REBUILD = ("verify", "--rebuild-manifest", "-o", ROOT)
MANIFEST = "manifest.sqlite"


@pytest.fixture
def root(run: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive root that holds the three objects: collected once, then copied for each test."""
    kept = tmp_path_factory.getbasetemp() / "root-to-rebuild"
    if not kept.exists():
        shutil.copytree(collect(run, *THREE, to=tmp_path_factory.mktemp("collected")).root, kept)
    shutil.copytree(kept, run.folder / ROOT)
    return run.folder / ROOT


def manifest_of(root: Path) -> Path:
    return root / ".crypto-archive" / MANIFEST


def rows(manifest: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(manifest)) as connection:
        query = "SELECT key, size, sha256, verdict, etag, last_modified, run_id FROM object ORDER BY key"
        return list(connection.execute(query))


def set_aside(root: Path) -> list[Path]:
    return sorted(path for path in manifest_of(root).parent.glob(f"{MANIFEST}.*") if path.suffix[1:].isalnum())


def randomly(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(20_000))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def half_a_page_zeroed(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:2048] + bytes(2048) + content[4096:])


def a_torn_row(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\x02okey", b"").replace(b"+00:00", b"+00:\xff\xff"))


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 9")


TOLD = "The manifest is damaged: "


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (randomly, TOLD),
        (truncated, TOLD),
        (half_a_page_zeroed, TOLD),
        (a_torn_row, TOLD),
        (newer, "A newer crypto-archive wrote the manifest "),
    ],
)
def test_a_damaged_manifest_is_reported_and_rebuilt(
    run: Runner, proxy: FaultProxy, archive: Archive, root: Path, damage: Callable[[Path], None], message: str
) -> None:
    manifest = manifest_of(root)
    before = rows(manifest)
    damage(manifest)
    spoilt = manifest.read_bytes()
    ended = run.at(proxy.endpoint_url)("collect", *THREE, "-o", ROOT)
    assert ended.code == 5
    assert f"{message}{manifest} (" in ended.stdout + ended.stderr
    assert "`crypto-archive verify --rebuild-manifest` with the same --output" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert proxy.count("GET") == 0

    code, document = rebuilt(run(*REBUILD, "--json"))
    assert (code, document["objects"], document["verdicts"]["ok"]) == (0, 3, 3)
    assert [(row[0], row[1], row[2], row[3]) for row in rows(manifest)] == [row[:4] for row in before]
    # The server's ETags are MD5s, so that they are known again from the bytes.
    assert [row[4:] for row in rows(manifest)] == [(row[4], None, "rebuilt") for row in before]
    (kept,) = set_aside(root)
    assert kept.read_bytes() == spoilt
    assert_same_bytes(root, archive.bucket, KEYS)
    assert collect(run, *THREE).outcomes == {"present": 3}
    assert run("verify", "--all", "-o", ROOT).code == 0


def rebuilt(ended: Ended) -> tuple[int, dict[str, Any]]:
    document: dict[str, Any] = json.loads(ended.stdout)
    validate(document, "verify.schema.json")
    assert document["exit_code"] == ended.code
    return ended.code, document


def test_a_manifest_that_is_gone_is_rebuilt(run: Runner, root: Path) -> None:
    before = rows(manifest_of(root))
    manifest_of(root).unlink()
    code, stdout, stderr = run(*REBUILD)
    assert code == 0
    assert "files are good" in stdout
    assert f"note: the manifest was rebuilt from the files: {manifest_of(root)}" in stderr
    assert "former manifest" not in stderr
    assert [row[:4] for row in rows(manifest_of(root))] == [row[:4] for row in before]
    assert set_aside(root) == []


def test_a_sound_manifest_is_kept_aside_too(run: Runner, root: Path) -> None:
    before = rows(manifest_of(root))
    ended = run(*REBUILD, *THREE)
    assert ended.code == 0
    (kept,) = set_aside(root)
    assert f"note: the former manifest is kept as {kept}" in ended.stderr
    assert rows(kept) == before
    private = [path.name for path in manifest_of(root).parent.iterdir() if path.is_file()]
    assert not [name for name in private if "rebuilt" in name]


def test_what_is_not_sound_is_reported_and_not_recorded(run: Runner, archive: Archive, root: Path) -> None:
    content = bytearray((root / KEYS[0]).read_bytes())
    content[100] ^= 1
    (root / KEYS[0]).write_bytes(content)
    (root / (KEYS[1] + SIDECAR)).unlink()
    (root / "data" / "notes.txt").write_text("mine", encoding="utf-8")
    code, document = rebuilt(run(*REBUILD, "--json"))
    assert code == 4
    assert [bad["key"] for bad in document["bad"]] == [KEYS[0]]
    assert [(row[0], row[3]) for row in rows(manifest_of(root))] == [(KEYS[1], "unproven"), (KEYS[2], "ok")]
    assert (root / KEYS[0]).read_bytes() == content  # a rebuild writes no file
    code, document = rebuilt(run(*REBUILD, "--repair", "--json"))
    assert (code, document["repair"]["outcomes"]["fetched"]) == (0, 1)
    assert (root / KEYS[0]).read_bytes() == (archive.bucket / KEYS[0]).read_bytes()


def test_an_object_that_the_archive_replaces_later_is_fetched(run: Runner, private_archive: Archive) -> None:
    run = run.at(private_archive.endpoint_url)
    root = collect(run, *THREE).root
    assert run(*REBUILD).code == 0
    replace(private_archive.bucket, KEYS[1])
    assert collect(run, *THREE, "--refresh").outcomes == {"present": 2, "updated": 1}
    assert_same_bytes(root, private_archive.bucket, KEYS)


def test_nothing_is_rebuilt_while_another_run_holds_the_root(run: Runner, proxy: FaultProxy) -> None:
    stalled = proxy.fault("GET", KEYS[0], Stall())
    with run.at(proxy.endpoint_url).start("collect", *THREE, "-o", ROOT) as first:
        stalled.wait()
        code, stdout, stderr = run(*REBUILD)
        proxy.clear()
        first.communicate(timeout=60)
    assert (code, stdout) == (5, "")
    assert set_aside(run.folder / ROOT) == []
    assert {row[6] for row in rows(manifest_of(run.folder / ROOT))} != {"rebuilt"}
    assert f"collect, process {first.pid} on {socket.gethostname()}" in stderr
    assert stored(run.folder / ROOT) == set(KEYS)


def test_a_rebuild_asks_no_network_and_needs_a_root(run: Runner, root: Path, proxy: FaultProxy) -> None:
    offline = run.at(proxy.endpoint_url).with_environment(CRYPTO_ARCHIVE_S5CMD="/nonexistent")
    assert offline(*REBUILD).code == 0
    assert proxy.requests == ()
    code, _, stderr = run("verify", "--rebuild-manifest", "-o", "nowhere")
    assert (code, (run.folder / "nowhere").exists()) == (5, False)
    assert f"Error: There is no archive root at {run.folder / 'nowhere'}" in stderr
    code, _, stderr = run(*REBUILD, "--discover", "listing")
    assert code == 2
    assert "a manifest is rebuilt from the files alone" in stderr


# The runs of the past


def test_old_runs_are_deleted_by_the_setting(run: Runner) -> None:
    few = run.with_environment(CRYPTO_ARCHIVE_KEEP_RUNS="2")
    runs = [collect(few, *THREE).report["run_id"] for _ in range(3)]
    left = sorted(path.name for path in (run.folder / ROOT / ".crypto-archive" / "runs").iterdir())
    assert left == sorted(runs[1:])
    code, _, stderr = run.with_environment(CRYPTO_ARCHIVE_KEEP_RUNS="0")("collect", *THREE, "-o", ROOT)
    assert code == 2
    assert "CRYPTO_ARCHIVE_KEEP_RUNS" in stderr
