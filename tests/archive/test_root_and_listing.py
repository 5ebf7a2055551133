"""``verify --discover listing`` of a whole root: which stored files has the archive replaced since, or withdrawn?"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.archive.results import (
    FUTURES,
    KEYS,
    ROOT,
    SERIES,
    THREE,
    assert_same_bytes,
    collect,
    files_below,
    in_futures,
    keys_where,
)
from tests.archive.sample import SIDECAR, put, replace
from tests.archive.test_verify import spoil, verdicts, verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

LISTING = ("--discover", "listing")


@pytest.fixture
def here(run: Runner, private_archive: Archive) -> Runner:
    return run.at(private_archive.endpoint_url)


def forget(root: Path, *keys: str) -> None:
    """Delete the records of objects, as if another tool had brought their files."""
    with closing(sqlite3.connect(root / ".crypto-archive" / "manifest.sqlite")) as manifest, manifest:
        manifest.executemany("DELETE FROM object WHERE key = ?", [(key,) for key in keys])


@pytest.mark.parametrize(
    ("arguments", "same_size", "recorded"),
    [
        (LISTING, False, True),
        (LISTING, True, False),
        ((*LISTING, "--all", *THREE), True, True),
        ((*LISTING, "--refresh", *THREE), True, False),
    ],
)
def test_what_the_archive_has_replaced_is_found_and_fetched(
    here: Runner, private_archive: Archive, arguments: tuple[str, ...], same_size: bool, recorded: bool
) -> None:
    done = collect(here, *THREE)
    assert verify(here, *arguments)[0] == 0
    replace(private_archive.bucket, KEYS[0], same_size=same_size)
    if not recorded:
        forget(done.root, KEYS[0])
    assert collect(here, *SERIES, "--start", "2025-07-14", "--end", "2025-07-15").outcomes == {"present": 2}
    assert verify(here)[0] == 0  # sound, by all that is known here
    code, document, _ = verify(here, *arguments)
    assert (code, verdicts(document)) == (4, {"ok": 2, "replaced": 1})
    assert [bad["key"] for bad in document["bad"]] == [KEYS[0]]
    assert ("MD5" if same_size else "bytes on disk") in document["bad"][0]["reason"]
    code, document, _ = verify(here, *arguments, "--repair")
    assert (code, document["repair"]["outcomes"]["updated"], document["repair"]["verdicts"]["ok"]) == (0, 1, 1)
    assert_same_bytes(done.root, private_archive.bucket, KEYS)
    assert files_below(done.root / ".crypto-archive" / "quarantine") == []
    assert verify(here, *arguments)[0] == 0


def test_a_new_time_with_the_same_bytes_is_not_a_replacement(here: Runner, private_archive: Archive) -> None:
    collect(here, *THREE)
    content = (private_archive.bucket / KEYS[0]).read_bytes()
    put(private_archive.bucket, KEYS[0], content, datetime(2026, 1, 1, tzinfo=UTC))
    code, document, _ = verify(here, *LISTING)
    assert (code, verdicts(document)) == (0, {"ok": 3})


def test_what_is_no_longer_listed_is_said_and_is_not_bad(here: Runner, private_archive: Archive) -> None:
    collect(here, *THREE)
    for key in KEYS[:2]:
        for ending in ("", SIDECAR):
            (private_archive.bucket / (key + ending)).unlink()
    code, document, stderr = verify(here, *LISTING)
    assert (code, verdicts(document)) == (0, {"ok": 3})
    assert f"the archive no longer lists 2 stored objects, such as {KEYS[0]}; nothing is done about that" in stderr


def test_what_is_wrong_on_disk_stays_what_it_is(here: Runner, private_archive: Archive) -> None:
    done = collect(here, *THREE)
    for key in KEYS:
        replace(private_archive.bucket, key)
    spoil(done.root / KEYS[0])
    (done.root / KEYS[1]).unlink()
    code, document, _ = verify(here, *LISTING, "--repair")
    assert (code, verdicts(document)) == (0, {"corrupt": 1, "missing": 1, "replaced": 1})
    assert_same_bytes(done.root, private_archive.bucket, KEYS)
    assert [name for name in files_below(done.root) if "quarantine" in name and "2025-07-13.zip" in name]


def test_a_whole_root_is_compared_with_few_requests(run: Runner, private_archive: Archive, proxy: FaultProxy) -> None:
    here = run.at(proxy.endpoint_url)
    collect(here, *FUTURES, "--layout", "hive")
    keys = sorted(keys_where(private_archive.spec, in_futures))
    changed = {keys[0], keys[len(keys) // 2], keys[-1]}
    for key in changed:
        replace(private_archive.bucket, key)
    lists = proxy.count("LIST")
    code, document, _ = verify(here, *LISTING)
    assert (code, document["objects"]) == (4, len(keys))
    assert {bad["key"] for bad in document["bad"]} == changed
    series = {key.rpartition("/")[0] for key in keys}
    assert 0 < proxy.count("LIST") - lists <= len(series)


def test_a_server_that_lists_nothing_proves_nothing(here: Runner, private_archive: Archive) -> None:
    """Such as the page of a login in the place of the archive."""
    collect(here, *THREE)
    (private_archive.bucket / "data").rename(private_archive.bucket.parent / "elsewhere")
    code, _, stderr = here("verify", "-o", ROOT, *LISTING)
    assert code == 5
    assert "Error: The server" in stderr
    assert "it lists nothing below 'data/'" in stderr
