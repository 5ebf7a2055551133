"""``matrix check``: the matrix against the type folders that the bucket lists."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from tests.archive.sample import put
from tests.archive.sample.schemas import MARKET_FOLDERS, PUBLISHED

if TYPE_CHECKING:
    from datetime import datetime

    from tests.archive.running import Runner
    from tests.archive.served import Archive


def check(run: Runner) -> tuple[int, dict[str, Any]]:
    code, stdout, stderr = run("matrix", "check", "--json")
    assert stderr == ""
    document: dict[str, Any] = json.loads(stdout)
    return code, document


def test_matrix_and_archive_agree(run: Runner, archive: Archive) -> None:
    code, document = check(run)
    published = {
        f"data/{MARKET_FOLDERS[row.market]}/{partition}/{row.data_type}/"
        for row in PUBLISHED.values()
        for partition in row.partitions
    }
    assert code == 0
    assert (document["only_in_matrix"], document["only_in_archive"]) == ([], [])
    assert document["folders"] == len(published)
    assert document["endpoint_url"] == archive.endpoint_url


def test_the_table_has_a_line_a_folder(run: Runner) -> None:
    code, stdout, stderr = run("matrix", "check")
    words = [line.split() for line in stdout.splitlines()]
    assert (code, stderr) == (0, "")
    assert ["data/spot/daily/klines/", "yes", "yes"] in words
    assert ["data/futures/um/monthly/fundingRate/", "yes", "yes"] in words
    assert not [line for line in words if "data/spot/daily/bookDepth/" in line]


def test_a_folder_too_many_and_one_too_few_are_listed(run: Runner, private_archive: Archive) -> None:
    run = run.at(private_archive.endpoint_url)
    when: datetime = private_archive.spec.objects[0].written_at
    for folder in ("data/spot/daily/bookDepth", "data/option/monthly/greeks"):
        put(private_archive.bucket, f"{folder}/BTCUSDT/BTCUSDT-x-2025-07-15.zip", b"new", when)
    shutil.rmtree(private_archive.bucket / "data/option/daily/EOHSummary")
    shutil.rmtree(private_archive.bucket / "data/futures/cm/monthly")
    code, document = check(run)
    assert code == 4
    assert document["only_in_archive"] == ["data/spot/daily/bookDepth/", "data/option/monthly/greeks/"]
    gone = {folder for folder in document["only_in_matrix"] if not folder.startswith("data/futures/cm/monthly/")}
    assert gone == {"data/option/daily/EOHSummary/"}
    assert "data/futures/cm/monthly/klines/" in document["only_in_matrix"]
    code, stdout, _ = run("matrix", "check")
    words = [line.split()[:3] for line in stdout.splitlines()]
    assert code == 4
    assert ["data/spot/daily/bookDepth/", "–", "yes"] in words
    assert ["data/option/daily/EOHSummary/", "yes", "–"] in words
