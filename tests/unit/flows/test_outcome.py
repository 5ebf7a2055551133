from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

pytest.importorskip("prefect", reason="needs the extra prefect")

from crypto_archive import ConfigError, VerifyReport, load_preset
from crypto_archive.errors import ExitCode
from crypto_archive.events import Checked, ObjectFinished, ObjectPlanned, RunFinished
from crypto_archive.flows.flow import result_document
from crypto_archive.flows.tasks import (
    RUNS_KEPT,
    CollectionFailed,
    ShardIncomplete,
    delete_old_shards,
    delete_shards,
    helps_to_try_again,
    shard_folder,
)
from crypto_archive.jobs.report import combine_reports
from crypto_archive.model import Action, Market, Outcome, PlannedObject, Verdict
from tests.objects import an_object

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_archive.jobs.report import Report


def report_of(*settled: tuple[Outcome, int], unsettled: int = 0, **finish: Any) -> Report:
    """A report of objects that ended so after so many attempts."""
    report = combine_reports(load_preset("research"), ())
    for number in range(len(settled) + unsettled):
        report.add(ObjectPlanned(PlannedObject(an_object(number), Action.FETCH, "not there")))
    for number, (outcome, attempts) in enumerate(settled):
        report.add(ObjectFinished(an_object(number), outcome, "SlowDown", attempts=attempts))
    report.add(RunFinished(1.0, **finish))
    return report


@pytest.mark.parametrize(
    ("report", "helps"),
    [
        (report_of((Outcome.FETCHED, 1)), False),
        (report_of(), False),  # the archive has nothing: it will not have it in a minute
        (report_of((Outcome.FAILED, 1)), False),  # refused
        (report_of((Outcome.FETCHED, 1), (Outcome.FAILED, 4)), True),
        (report_of((Outcome.QUARANTINED, 4)), True),
        (report_of((Outcome.FETCHED, 1), unsettled=1), True),
        (report_of((Outcome.FAILED, 4), interrupted_by=0), False),
        (report_of(error="the network is gone", error_exit_code=ExitCode.ENVIRONMENT), True),
        (report_of(error="over the budget", error_exit_code=ExitCode.USAGE), False),
    ],
)
def test_only_what_can_come_the_next_time_is_tried_again(report: Report, helps: bool) -> None:
    assert helps_to_try_again(report) is helps


def test_the_errors_survive_the_way_from_another_process() -> None:
    report = report_of((Outcome.FAILED, 4), (Outcome.FETCHED, 1))
    for error in (ShardIncomplete(report), CollectionFailed(result_document(report, None, {"1-of-1": report}))):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.exit_code) == (type(error), str(error), ExitCode.PARTIAL)
        assert str(again).startswith("partial: 2 objects, 0 B, 1 failed; first: ")
    assert pickle.loads(pickle.dumps(ShardIncomplete(report))).report.document() == report.document()


def test_problems_of_a_configuration_survive_it_too() -> None:
    with pytest.raises(ConfigError) as raised:
        load_preset("reserch", "reserch2")
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.hint, again.problems) == (str(raised.value), raised.value.hint, raised.value.problems)


def test_a_verification_decides_where_all_was_collected() -> None:
    bad = VerifyReport("root")
    bad.add(Checked(an_object().key, Market.SPOT, "klines", Verdict.CORRUPT, 7, "the manifest says otherwise"))
    whole, partial = report_of((Outcome.PRESENT, 0)), report_of((Outcome.FAILED, 1), (Outcome.PRESENT, 0))
    result = result_document(whole, bad, {"1-of-1": whole})
    assert (result["status"], result["exit_code"]) == ("bad", ExitCode.VERIFICATION)
    assert "; verification bad: 1 object, 1 corrupt; first: " in result["reason"]
    result = result_document(partial, bad, {"1-of-1": partial})
    assert (result["status"], result["exit_code"]) == ("partial", ExitCode.PARTIAL)


def test_shards_of_flow_runs_that_failed_are_kept_for_a_while(tmp_path: Path) -> None:
    folders = [shard_folder(tmp_path, str(uuid4())) for _ in range(RUNS_KEPT + 3)]
    for folder in folders:
        folder.mkdir(parents=True)
    delete_old_shards(folders[-1])
    assert len(list(folders[0].parent.iterdir())) == RUNS_KEPT
    for folder in folders:
        delete_shards(folder)
    assert not folders[0].parent.exists()
    delete_old_shards(folders[0])  # there is nothing to forget


def test_only_folders_of_flow_runs_are_deleted(tmp_path: Path) -> None:
    own = [shard_folder(tmp_path, str(uuid4())) for _ in range(RUNS_KEPT + 1)]
    others = [shard_folder(tmp_path, f"mine-{number}") for number in range(RUNS_KEPT + 1)]
    for folder in (*own, *others):
        folder.mkdir(parents=True)
    delete_old_shards(own[-1])
    assert all(folder.exists() for folder in others)
    assert len([folder for folder in own if folder.exists()]) == RUNS_KEPT


def test_no_shards_are_deleted_behind_a_link(tmp_path: Path) -> None:
    mine = [tmp_path / "mine" / str(uuid4()) for _ in range(RUNS_KEPT + 1)]
    for folder in mine:
        folder.mkdir(parents=True)
    link = shard_folder(tmp_path, "x").parent
    link.parent.mkdir()
    link.symlink_to(tmp_path / "mine", target_is_directory=True)
    delete_old_shards(link / str(uuid4()))
    assert all(folder.exists() for folder in mine)
