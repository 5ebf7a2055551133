"""``--quiet``: silence means success, so that cron sends mail only when something is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.archive.proxy import Status
from tests.archive.results import KEYS, ROOT, SERIES, THREE

if TYPE_CHECKING:
    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner


def test_success_prints_nothing(run: Runner) -> None:
    assert run("collect", *THREE, "-o", ROOT, "-q") == (0, "", "")
    assert run("verify", *THREE, "-o", ROOT, "-q") == (0, "", "")


def test_objects_that_failed_are_one_line(run: Runner, proxy: FaultProxy) -> None:
    proxy.fault("GET", KEYS[1], Status(403))
    code, stdout, stderr = run.at(proxy.endpoint_url)("collect", *THREE, "-o", ROOT, "-q")
    assert (code, stdout, stderr.count("\n")) == (3, "", 1)
    assert stderr.startswith("Error: partial: 3 objects, ")
    assert f"1 failed; first: {KEYS[1]}: " in stderr


def test_nothing_found_is_one_line(run: Runner) -> None:
    nothing = (*SERIES[:-1], "NOSUCHUSDT", "--start", "2025-07-13", "--end", "2025-07-15")
    assert run("collect", *nothing, "-o", ROOT, "-q") == (
        3, "", "Error: empty: the archive has none of the selected data; the archive has no symbol 'NOSUCHUSDT'\n",
    )  # fmt: skip


def test_bad_objects_are_one_line(run: Runner) -> None:
    run("collect", *THREE, "-o", ROOT, "-q")
    (run.folder / ROOT / KEYS[1]).write_bytes(b"spoilt")
    code, stdout, stderr = run("verify", "--all", "-o", ROOT, "-q")
    assert (code, stdout, stderr.count("\n")) == (4, "", 1)
    assert stderr.startswith(f"Error: verification bad: 3 objects, 1 corrupt; first: {KEYS[1]}: corrupt")
    assert run("verify", "--all", "-o", ROOT, "-q", "--repair") == (0, "", "")


def test_an_incomplete_repair_is_one_line(run: Runner, proxy: FaultProxy) -> None:
    run("collect", *THREE, "-o", ROOT, "-q")
    (run.folder / ROOT / KEYS[1]).write_bytes(b"spoilt")
    proxy.fault("GET", KEYS[1], Status(403))
    code, stdout, stderr = run.at(proxy.endpoint_url)("verify", "--all", "-o", ROOT, "-q", "--repair")
    assert (code, stdout, stderr.count("\n")) == (5, "", 1)
    assert stderr.startswith("Error: ")
