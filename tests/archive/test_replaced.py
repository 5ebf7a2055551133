"""The archive changes while it is read: the right bytes in the end, and never a mixture at a final path.

Beside it what is wrong with sidecars for good: the file is kept and marked, and not fetched again and again.
"""

from __future__ import annotations

import hashlib
import random
import threading
import zipfile
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.archive.fake_s3 import FakeS3, entry
from tests.archive.proxy import FaultProxy
from tests.archive.results import KEYS, THREE, assert_same_bytes, collect, preset
from tests.archive.sample import SIDECAR, replace
from tests.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.archive.faults import Fault, Seen
    from tests.archive.running import Runner
    from tests.archive.served import Archive

ONE = (*THREE, "--end", "2025-07-13")
MIB = 1 << 20


class Hook(FaultProxy):
    """Does something once, before the first request of a kind for the first key goes on.

    s5cmd looks for it in a listing before it copies it.
    """

    def __init__(self, upstream_url: str, kind: str, deed: Callable[[], object]) -> None:
        super().__init__(upstream_url)
        self.kind = kind
        self.deed: Callable[[], object] | None = deed

    def note(self, seen: Seen) -> tuple[Fault | None, object]:  # type: ignore[override]
        deed = self.deed
        if deed is not None and seen.key.startswith(KEYS[0]) and seen.kind == self.kind:
            self.deed = None
            deed()
        return super().note(seen)


@pytest.mark.parametrize(("same_size", "there"), [(False, True), (True, False)], ids=["other-size", "same-size"])
def test_an_object_that_is_replaced_after_it_was_listed(
    run: Runner, private_archive: Archive, same_size: bool, there: bool
) -> None:
    if there:
        collect(run.at(private_archive.endpoint_url), *ONE)
        replace(private_archive.bucket, KEYS[0])
    with Hook(
        private_archive.endpoint_url, "LIST", lambda: replace(private_archive.bucket, KEYS[0], same_size=same_size)
    ) as proxy:
        done = collect(run.at(proxy.endpoint_url), *ONE)
        assert proxy.deed is None
        assert (done.code, done.outcomes) == (0, {"updated" if there else "fetched": 1})
        assert done.verdicts == {"ok": 1}
        assert_same_bytes(done.root, private_archive.bucket, KEYS[:1])
        last = collect(run.at(proxy.endpoint_url), *ONE, "--refresh")  # the new ETag is that of the bytes on disk
        assert last.outcomes == {"present": 1}
        assert_same_bytes(done.root, private_archive.bucket, KEYS[:1])


def test_an_object_that_is_replaced_before_its_sidecar(run: Runner, private_archive: Archive) -> None:
    """The zip comes old and its sidecar new, or the other way round; both are fetched again."""
    with Hook(private_archive.endpoint_url, "GET", lambda: replace(private_archive.bucket, KEYS[0])) as proxy:
        done = collect(run.at(proxy.endpoint_url), *ONE)
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 1}, {"ok": 1})
    assert_same_bytes(done.root, private_archive.bucket, KEYS[:1])


def packed(seed: int, size: int) -> bytes:
    """A zip of the first key with so many random bytes, which are not compressed."""
    content = random.Random(seed).randbytes(size)
    return zip_of(KEYS[0].rpartition("/")[2], content, zipfile.ZIP_STORED)


OLD, SAME_SIZE, SHORTER = packed(1, 12 * MIB), packed(2, 12 * MIB), packed(3, 3 * MIB)


@pytest.mark.parametrize(("new", "discovery"), [(SAME_SIZE, "listing"), (SHORTER, "calendar")], ids=["same", "shorter"])
def test_an_object_that_is_replaced_between_its_parts(run: Runner, tmp_path: Path, new: bytes, discovery: str) -> None:
    """HEAD and the first part are of the old object, what is read from then on is of the new one."""
    with FakeS3() as server:
        server.listing = [entry(KEYS[0], len(new), hashlib.md5(new).hexdigest()), entry(KEYS[0] + SIDECAR, 100)]
        name = KEYS[0].rpartition("/")[2]
        server.hold(KEYS[0] + SIDECAR, f"{hashlib.sha256(new).hexdigest()}  {name}\n".encode())
        options = ("-p", preset(tmp_path, "part_size_mb: 5\n"), "--discover", discovery)

        replaced = threading.Event()

        def content(number: int) -> bytes:
            """Return the old object to HEAD and the first GET; from the second GET on there is the new one."""
            if number > 1:
                replaced.set()
            return new if replaced.is_set() else OLD

        server.content[KEYS[0]] = content
        done = collect(run.at(server.endpoint_url), *ONE, *options)
        assert server.seen["GET", KEYS[0]] >= 4  # three parts, or as many as there were, and then again
    assert (done.code, done.outcomes, done.verdicts) == (0, {"fetched": 1}, {"ok": 1})
    assert (done.root / KEYS[0]).read_bytes() == new
    assert done.events("batch-retried")


BAD_SIDECARS = {
    "HTML": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "empty": b"",
    "garbage": random.Random(4).randbytes(MIB),
    "stale": b"0" * 64 + b"  " + KEYS[2].rpartition("/")[2].encode() + b"\n",
}


@pytest.mark.parametrize(
    ("discovery", "kinds"), [("listing", ("HTML", "empty", "garbage")), ("calendar", ("HTML", "missing", "stale"))]
)
def test_a_bad_sidecar_costs_no_download_in_later_runs(
    run: Runner, private_archive: Archive, discovery: str, kinds: tuple[str, ...]
) -> None:
    for key, kind in zip(KEYS, kinds, strict=True):
        path = private_archive.bucket / (key + SIDECAR)
        path.unlink() if kind == "missing" else path.write_bytes(BAD_SIDECARS[kind])
    with FaultProxy(private_archive.endpoint_url) as proxy:
        run = run.at(proxy.endpoint_url)
        first = collect(run, *THREE, "--discover", discovery)
        known = {"missing": "sidecar-missing", "stale": "sidecar-stale"}
        assert (first.code, first.outcomes) == (0, {"fetched": 3})
        assert first.verdicts == Counter(known.get(kind, "sidecar-malformed") for kind in kinds)
        assert_same_bytes(first.root, private_archive.bucket, KEYS)
        gets = proxy.count("GET")
        assert [proxy.count("GET", key) for key in KEYS] == [1 if kind == "missing" else 2 for kind in kinds]
        for later in ("listing", "calendar", discovery):
            assert collect(run, *THREE, "--discover", later).outcomes == {"present": 3}
        assert proxy.count("GET") == gets
    code, stdout, stderr = run("verify", *THREE, "-o", "archive")
    assert (code, "sidecar-malformed" in stdout) == (0, True), stdout + stderr
