"""``collect --dry-run``: no network, no s5cmd, no writes; the commands that it prints are the real ones."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.archive.programs import s5cmd
from tests.archive.results import (
    KEYS,
    RESEARCH,
    ROOT,
    THREE,
    assert_same_bytes,
    collect,
    copied_by,
    files_below,
    in_research,
    keys_where,
    stored,
)
from tests.archive.sample import SIDECAR

if TYPE_CHECKING:
    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive


@pytest.fixture
def dry(run: Runner, proxy: FaultProxy) -> Runner:
    """A runner that has no s5cmd, and whose every request would be seen."""
    return run.at(proxy.endpoint_url).with_environment(CRYPTO_ARCHIVE_S5CMD="/nonexistent")


def test_it_sends_no_request_and_writes_nothing(dry: Runner, proxy: FaultProxy) -> None:
    code, stdout, stderr = dry("collect", *RESEARCH, "--dry-run")
    assert code == 0
    assert proxy.requests == ()
    assert list(dry.folder.iterdir()) == []
    assert sum(line.startswith("cp ") for line in stdout.splitlines()) == 57  # one for each series
    assert "note" not in stderr
    assert "Traceback" not in stderr


def test_its_first_line_says_what_it_is(dry: Runner) -> None:
    first, second, *_ = dry("collect", *THREE, "-n").stdout.splitlines()
    assert first == "# An offline estimate from the calendar; `crypto-archive plan` shows what a collect would do."
    assert second.startswith("# batch 1: ")
    code, stdout, _ = dry("collect", *THREE, "-n", "--max-objects", "1")
    assert (code, stdout) == (2, "")  # nothing of a plan over its budget


def test_it_plans_from_the_calendar_even_where_a_listing_is_asked_for(dry: Runner, proxy: FaultProxy) -> None:
    assert dry("collect", *THREE, "-n", "--discover", "listing").code == 0
    assert dry.with_environment(CRYPTO_ARCHIVE_DISCOVER="listing")("collect", *THREE, "-n").code == 0
    assert proxy.requests == ()


def test_what_it_prints_runs_under_s5cmd(run: Runner, archive: Archive, dry: Runner) -> None:
    printed = dry("collect", *RESEARCH, "-n", "-q").stdout
    by_hand = run.folder / "by-hand"
    by_hand.mkdir()
    subprocess.run(
        [s5cmd(), "--no-sign-request", "--endpoint-url", archive.endpoint_url, "run"],
        input=printed.encode(), cwd=by_hand, check=True, stdout=subprocess.DEVNULL,
        env=dict(run.environment) | {"AWS_REGION": "us-east-1"},
    )  # fmt: skip
    assert stored(by_hand) == keys_where(archive.spec, in_research)
    assert_same_bytes(by_hand, archive.bucket, stored(by_hand))


def test_it_prints_the_commands_that_collect_runs(run: Runner, dry: Runner) -> None:
    printed = [line for line in dry("collect", *RESEARCH, "-n").stdout.splitlines() if not line.startswith("#")]
    done = collect(run, *RESEARCH, "--discover", "calendar")
    assert printed == [line for commands in done.run_files for line in commands]


def test_json_is_one_document(dry: Runner) -> None:
    code, stdout, stderr = dry("collect", *RESEARCH, "-n", "--json")
    document = json.loads(stdout)
    assert (code, stderr) == (0, "")
    assert document["totals"]["objects"] == 57
    assert document["totals"]["commands"] == 57
    assert list(dry.folder.iterdir()) == []


def test_what_is_there_needs_no_command(run: Runner, dry: Runner, archive: Archive) -> None:
    collect(run, *THREE, "--end", "2025-07-14")
    before = files_below(run.folder)
    code, stdout, _ = dry("collect", *THREE, "-n", "-o", ROOT)
    assert (code, _copied(stdout, archive)) == (0, {KEYS[2], KEYS[2] + SIDECAR})
    everything = dry("collect", *THREE, "-n", "-o", ROOT, "--force", "-q").stdout
    assert _copied(everything, archive) == {key + suffix for key in KEYS for suffix in ("", SIDECAR)}
    assert files_below(run.folder) == before


def _copied(said: str, archive: Archive) -> set[str]:
    commands = [line for line in said.splitlines() if line.startswith("cp ")]
    keys = [key for line in commands for key in copied_by(line, archive.bucket)]
    assert len(keys) == len(set(keys))
    return set(keys)


def test_nothing_to_plan_is_not_a_success(dry: Runner) -> None:
    code, stdout, stderr = dry("collect", "-m", "spot", "-t", "bookTicker", "-n")
    assert (code, stdout) == (3, "")
    assert "spot bookTicker: never published by the archive; nothing to plan" in stderr
