"""Lock files end to end: what a plan pins is what another root gets, or it is said what the archive replaced."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.archive.faults import Status
from tests.archive.proxy import FaultProxy
from tests.archive.results import (
    FUTURES,
    KEYS,
    RESEARCH,
    ROOT,
    SERIES,
    THREE,
    assert_same_bytes,
    collect,
    copied_by,
    files_below,
    in_research,
    keys_where,
    stored,
)
from tests.archive.sample import NON_ASCII, SIDECAR, replace
from tests.archive.terminal import Terminal

if TYPE_CHECKING:
    from tests.archive.faults import Fault, Seen
    from tests.archive.running import Runner
    from tests.archive.served import Archive

LOCK = "inputs.lock"
TWO = (*SERIES, "--start", "2025-07-13", "--end", "2025-07-14")


def lock(run: Runner, *arguments: str, to: str = LOCK) -> str:
    """Run ``plan --lock`` and return what it wrote."""
    code, _, stderr = run("plan", *arguments, "--lock", to, "--json")
    assert code == 0, stderr
    return (run.folder / to).read_bytes().decode()


def entries(text: str) -> dict[str, list[str]]:
    """Return the fields of a lock's objects by key."""
    lines = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {key: fields for key, *fields in lines}


def diff(run: Runner, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, stdout, stderr = run("plan", *arguments, "--json", "--diff", LOCK)
    assert stdout, stderr
    return code, json.loads(stdout)


def test_a_lock_is_what_the_archive_has_and_a_second_one_is_equal(run: Runner, archive: Archive) -> None:
    text = lock(run, *RESEARCH)
    assert lock(run, *RESEARCH, to="again.lock") == text
    head, found = text.splitlines()[:3], entries(text)
    assert head[:2] == ["# crypto-archive lock 1", "# bucket: data.binance.vision"]
    assert text.endswith("\n# end\n")
    assert set(found) == keys_where(archive.spec, in_research)
    assert list(found) == sorted(found, key=str.encode)
    content = (archive.bucket / KEYS[2]).read_bytes()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert found[KEYS[2]] == [str(len(content)), md5, "2025-07-16T00:00:00Z", "-", "sidecar"]
    assert files_below(run.folder) == ["again.lock", LOCK]


def test_what_is_locked_is_collected_into_another_root_byte_for_byte(run: Runner, archive: Archive) -> None:
    first = collect(run, *FUTURES)
    text = lock(run, *FUTURES, "-o", ROOT)
    key = KEYS[2].replace("spot", "futures/um")
    content = (archive.bucket / key).read_bytes()
    assert entries(text)[key][3] == hashlib.sha256(content).hexdigest()
    assert all(len(fields[3]) == 64 for fields in entries(text).values())  # all are known once they are collected

    second = collect(run, "--locked", LOCK, to="second")
    assert (second.code, second.outcomes) == (0, {"fetched": first.outcomes["fetched"]})
    assert stored(second.root) == stored(first.root) == set(entries(text))
    assert_same_bytes(second.root, archive.bucket, stored(first.root))
    assert second.report["selection"]["locked"] == LOCK
    assert second.report["selection"]["markets"] == []
    assert second.report["notices"] == []
    # From the other root the very same lock comes.
    assert lock(run, *FUTURES, "-o", "second", to="second.lock") == text


def test_a_root_that_has_all_makes_no_request(run: Runner, proxy: FaultProxy) -> None:
    collect(run, *THREE)
    lock(run, *THREE, "-o", ROOT)
    done = collect(run.at(proxy.endpoint_url), "--locked", LOCK)
    assert (done.code, done.outcomes) == (0, {"present": 3})
    assert proxy.requests == ()


def test_one_missing_object_costs_one_narrow_listing(run: Runner, proxy: FaultProxy) -> None:
    collect(run, *TWO)
    lock(run, *THREE, "-o", ROOT)
    done = collect(run.at(proxy.endpoint_url), "--locked", LOCK)
    assert (done.code, done.outcomes) == (0, {"present": 2, "fetched": 1})
    assert [seen.key for seen in proxy.requests if seen.kind == "LIST"] == [KEYS[2]] * 2  # and the copy's own look


def test_force_fetches_what_is_there_again(run: Runner, archive: Archive) -> None:
    collect(run, *THREE)
    lock(run, *THREE, "-o", ROOT)
    done = collect(run, "--locked", LOCK, "--force")
    assert (done.code, done.outcomes) == (0, {"fetched": 3})
    assert_same_bytes(done.root, archive.bucket, KEYS)


def test_the_diff_says_what_is_new_gone_and_replaced(run: Runner, private_archive: Archive) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    aside = bucket.parent / "aside.zip"
    (bucket / KEYS[0]).rename(aside)
    locked = entries(lock(here, *THREE))
    assert set(locked) == set(KEYS[1:])
    assert diff(here, *THREE) == (0, {
        "schema_version": 1, "lock": LOCK, "differences": [], "counts": {"new": 0, "gone": 0, "replaced": 0},
    })  # fmt: skip

    aside.rename(bucket / KEYS[0])
    (bucket / KEYS[1]).unlink()
    replace(bucket, KEYS[2])
    code, document = diff(here, *THREE, "--refresh")
    assert (code, document["counts"]) == (4, {"new": 1, "gone": 1, "replaced": 1})
    assert [(one["kind"], one["key"]) for one in document["differences"]] == list(
        zip(("new", "gone", "replaced"), KEYS, strict=True)
    )
    new, gone, replaced = document["differences"]
    assert (new["locked"], gone["planned"]) == (None, None)
    assert str(replaced["locked"]["size"]) == locked[KEYS[2]][0]
    assert replaced["planned"]["size"] == (bucket / KEYS[2]).stat().st_size

    code, stdout, stderr = here("plan", *THREE, "--diff", LOCK)
    size = (bucket / KEYS[0]).stat().st_size
    lines = stdout.splitlines()
    assert code == 4
    assert lines[:2] == [f"+ {KEYS[0]}  {size:,} bytes", f"- {KEYS[1]}"]
    assert lines[2].startswith(f"~ {KEYS[2]}  size {locked[KEYS[2]][0]} → {replaced['planned']['size']}, etag ")
    assert len(lines) == 3
    assert "1 new, 1 gone, 1 replaced" in stderr

    # The difference can be taken over in the same step.
    code, stdout, stderr = here("plan", *THREE, "--format", "jsonl", "--diff", LOCK, "--lock", LOCK)
    assert (code, [json.loads(line) for line in stdout.splitlines()]) == (4, document["differences"])
    assert f"{LOCK} locks 2 objects" in stderr
    assert diff(here, *THREE)[0] == 0


def test_a_diff_on_a_terminal_shows_how_far_planning_is_until_the_first_line(run: Runner) -> None:
    lock(run, *TWO)
    with Terminal(run).start("plan", *THREE, "--diff", LOCK) as terminal:
        assert terminal.wait() == 4
    before, sign, after = terminal.seen.partition(f"+ {KEYS[2]}")
    assert (sign != "", before.count("Planning") > 0, "Planning" in after) == (True, True, False)
    assert before.rindex("Planning") < before.rindex("\x1b[2K")  # it is cleared


@pytest.mark.parametrize("stored_before", [False, True], ids=["empty-root", "other-version-there"])
def test_what_the_archive_no_longer_has_fails_with_its_reason_and_the_rest_is_fetched(
    run: Runner, private_archive: Archive, stored_before: bool
) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    before = entries(lock(here, *THREE))
    (bucket / KEYS[1]).unlink()
    content = replace(bucket, KEYS[2])
    if stored_before:
        collect(here, *SERIES, "--start", "2025-07-15", "--end", "2025-07-15")
    done = collect(here, "--locked", LOCK)
    assert (done.code, done.outcomes) == (3, {"fetched": 1, "failed": 2})
    assert done.reasons == {
        KEYS[1]: "gone from the archive since it was locked",
        KEYS[2]: f"replaced in the archive since it was locked: {len(content):,} bytes of 2025-08-15, "
        f"was {int(before[KEYS[2]][0]):,} bytes of 2025-07-16",
    }
    assert stored(done.root) == {KEYS[0], *([KEYS[2]] if stored_before else [])}
    if stored_before:
        assert (done.root / KEYS[2]).read_bytes() == content  # not overwritten, and not taken away
    assert not (done.folder / "failed.s5cmd").exists()
    code, stdout, _ = here("collect", "--locked", LOCK, "-o", ROOT)
    assert code == 3
    assert "copy them from a root that has them" in stdout
    assert "Run the same command again" not in stdout


def test_a_file_of_another_version_gives_way_to_the_locked_bytes(run: Runner, private_archive: Archive) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    original = {key: (bucket / key).read_bytes() for key in (KEYS[0], KEYS[0] + SIDECAR)}
    lock(here, *THREE)
    replace(bucket, KEYS[0])
    first = collect(here, *THREE)
    for key, content in original.items():  # the archive takes its change back
        (bucket / key).write_bytes(content)
    done = collect(here, "--locked", LOCK)
    assert (done.code, done.outcomes) == (0, {"updated": 1, "present": 2})
    assert (first.root / KEYS[0]).read_bytes() == original[KEYS[0]]


def test_files_that_were_copied_from_another_root_count_whatever_the_archive_has(
    run: Runner, private_archive: Archive
) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    first = collect(here, *THREE)
    lock(here, *THREE, "-o", ROOT)
    copied = run.folder / "copied"
    shutil.copytree(first.root / "data", copied / "data")
    for key in KEYS:
        replace(bucket, key)
    done = collect(here, "--locked", LOCK, to="copied")
    assert (done.code, done.outcomes) == (0, {"present": 3})
    with FaultProxy(private_archive.endpoint_url) as proxy:  # and they are remembered
        assert collect(run.at(proxy.endpoint_url), "--locked", LOCK, to="copied").outcomes == {"present": 3}
        assert proxy.requests == ()


class Once(FaultProxy):
    """Does something to the bucket before the first HEAD or GET of an object goes on, after it was listed."""

    def __init__(self, upstream_url: str, key: str, deed: Any) -> None:
        super().__init__(upstream_url)
        self.key, self.deed = key, deed

    def note(self, seen: Seen) -> tuple[Fault | None, object]:  # type: ignore[override]
        if self.deed is not None and seen.kind != "LIST" and seen.key == self.key:
            deed, self.deed = self.deed, None
            deed()
        return super().note(seen)


@pytest.mark.parametrize("same_size", [False, True], ids=["other-size", "same-size"])
@pytest.mark.parametrize("with_digest", [False, True], ids=["by-etag", "by-digest"])
def test_bytes_that_are_replaced_between_listing_and_download_are_not_published(
    run: Runner, private_archive: Archive, same_size: bool, with_digest: bool
) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    if with_digest:
        collect(here, *THREE, to="elsewhere")
    lock(here, *THREE, *(("-o", "elsewhere") if with_digest else ()))
    with Once(private_archive.endpoint_url, KEYS[0], lambda: replace(bucket, KEYS[0], same_size=same_size)) as proxy:
        done = collect(run.at(proxy.endpoint_url), "--locked", LOCK)
        assert proxy.deed is None
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert done.reasons[KEYS[0]].startswith("replaced in the archive since it was locked: ")
    assert stored(done.root) == set(KEYS[1:])
    assert not (done.folder / "failed.s5cmd").exists()


def test_bytes_that_go_between_listing_and_download_are_a_failure_and_no_absence(
    run: Runner, private_archive: Archive
) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    lock(here, *THREE)
    with Once(private_archive.endpoint_url, KEYS[0], (bucket / KEYS[0]).unlink) as proxy:
        done = collect(run.at(proxy.endpoint_url), "--locked", LOCK)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert done.reasons == {KEYS[0]: "gone from the archive since it was locked"}


def test_a_failure_that_is_none_of_the_archive_is_offered_to_s5cmd(run: Runner, proxy: FaultProxy) -> None:
    lock(run, *THREE)
    proxy.fault("GET", f"*{KEYS[0]}", Status(403))
    done = collect(run.at(proxy.endpoint_url), "--locked", LOCK)
    assert (done.code, done.outcomes) == (3, {"fetched": 2, "failed": 1})
    assert KEYS[0] in (done.folder / "failed.s5cmd").read_text("utf-8")


def test_without_a_listing_the_bytes_are_judged_when_they_arrive(run: Runner, private_archive: Archive) -> None:
    here, bucket = run.at(private_archive.endpoint_url), private_archive.bucket
    lock(here, *THREE)
    replace(bucket, KEYS[0], same_size=True)
    replace(bucket, KEYS[1])
    with FaultProxy(private_archive.endpoint_url) as proxy:
        done = collect(run.at(proxy.endpoint_url), "--locked", LOCK, "--discover", "calendar")
        looked = {seen.key for seen in proxy.requests if seen.kind == "LIST"}
        assert looked == {KEYS[0].removesuffix("13.zip"), KEYS[1]}  # by the copies alone, the second one again
    assert (done.code, done.outcomes) == (3, {"fetched": 1, "failed": 2})
    assert all(reason.startswith("replaced in the archive since it was locked: ") for reason in done.reasons.values())
    assert stored(done.root) == {KEYS[2]}


def test_a_dry_run_of_a_lock_file_sends_no_request(run: Runner, archive: Archive, proxy: FaultProxy) -> None:
    collect(run, *TWO)
    lock(run, *THREE, "-o", ROOT)
    code, stdout, stderr = run.at(proxy.endpoint_url)("collect", "-n", "--locked", LOCK, "-o", ROOT)
    assert code == 0, stderr
    (command,) = [line for line in stdout.splitlines() if not line.startswith("#")]
    assert sorted(copied_by(command, archive.bucket)) == [KEYS[2], KEYS[2] + SIDECAR]
    assert proxy.requests == ()


def test_names_of_any_script_can_be_locked(run: Runner, archive: Archive) -> None:
    options = (
        "-m",
        "spot",
        "-t",
        "klines",
        "-i",
        "1h",
        "-s",
        NON_ASCII,
        "--start",
        "2025-07-15",
        "--end",
        "2025-07-15",
    )
    (key,) = entries(lock(run, *options))
    assert NON_ASCII in key
    done = collect(run, "--locked", LOCK)
    assert (done.code, done.outcomes) == (0, {"fetched": 1})
    assert_same_bytes(done.root, archive.bucket, [key])


def test_a_plan_that_fails_leaves_the_old_lock_alone(run: Runner, proxy: FaultProxy) -> None:
    old = lock(run, *THREE)
    proxy.fault("LIST", "*", Status(403))
    code, _, stderr = run.at(proxy.endpoint_url)("plan", *RESEARCH, "--lock", LOCK)
    assert (code, "denies the listing" in stderr) == (5, True)
    assert (run.folder / LOCK).read_bytes().decode() == old
    assert files_below(run.folder) == [LOCK]


def test_a_plan_without_objects_leaves_the_old_lock_alone(run: Runner) -> None:
    old = lock(run, *THREE)
    code, _, stderr = run("plan", *SERIES, "--start", "2018-01-01", "--end", "2018-01-02", "--lock", LOCK)
    assert code == 3
    assert f"{LOCK} was not written: nothing to lock" in stderr
    assert (run.folder / LOCK).read_bytes().decode() == old
