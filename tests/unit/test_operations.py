"""The files that docs/operations.md shows are right by the rules of the programs that are to read them."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from crypto_archive.errors import ExitCode
from tests.docs.blocks import blocks
from tests.docs.commands import lines_in, parse
from tests.docs.container import instructions
from tests.docs.generated import DOCS

TEXT = (DOCS / "operations.md").read_text("utf-8")
PROGRAM = "/srv/binance/venv/bin/crypto-archive"
FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def files() -> dict[str, str]:
    """Return the files that the page shows, by their names."""
    shown = (block.text for block in blocks(TEXT) if block.kind != "sh" and block.text.startswith("# "))
    return {text.partition("\n")[0].removeprefix("# "): text for text in shown}


def named(suffix: str) -> list[str]:
    return [name for name in files() if name.endswith(suffix)]


def unit(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(files()[name])
    return parser


def test_the_page_shows_its_files() -> None:
    assert set(files()) == {
        "/srv/binance/daily.yaml",
        "/etc/cron.d/crypto-archive",
        "/etc/systemd/system/crypto-archive.service",
        "/etc/systemd/system/crypto-archive.timer",
        "/etc/systemd/system/crypto-archive-hourly.service",
        "/etc/prometheus/rules/crypto-archive.yaml",
        "/etc/logrotate.d/crypto-archive",
        "Dockerfile",
    }


# Schedules


def crontab_lines() -> list[str]:
    own = [line for line in files()["/etc/cron.d/crypto-archive"].splitlines() if re.match(r"[\d*]", line)]
    first_hour = (DOCS / "first-hour.md").read_text("utf-8")
    return own + re.findall(r"^[\d*]+ [\d*]+ [\d*]+ .+$", first_hour, re.MULTILINE)


@pytest.mark.parametrize("line", crontab_lines())
def test_crontabs_have_five_fields_and_a_call_that_is_right(line: str) -> None:
    for field, (low, high) in zip(line.split()[:5], FIELDS, strict=True):
        assert field == "*" or low <= int(field) <= high
    assert "%" not in line  # the end of the command, to cron
    (call,) = lines_in(f"```sh\n{line}\n```")
    assert parse(call) in {"collect", "verify"}


@pytest.mark.parametrize("name", [*named(".service"), *named(".timer")])
def test_units_are_what_systemd_takes(name: str, tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not here; the parser has read the unit in the tests beside this one")
    program = tmp_path / "crypto-archive"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for each in [*named(".service"), *named(".timer")]:
        (tmp_path / Path(each).name).write_text(files()[each].replace(PROGRAM, str(program)))
    checked = subprocess.run(
        [analyze, "verify", "--man=no", str(tmp_path / Path(name).name)], capture_output=True, text=True, check=False
    )
    said = [line for line in checked.stderr.splitlines() if Path(name).stem in line]
    assert (said, checked.returncode) == ([], 0)


@pytest.mark.parametrize("name", named(".service"))
def test_services_call_the_command_and_let_it_end_cleanly(name: str) -> None:
    service = unit(name)["Service"]
    program, *call = shlex.split(service["ExecStart"])
    assert (program, parse(call)) == (PROGRAM, "collect")
    assert service["KillMode"] == "mixed"
    assert int(service["TimeoutStopSec"]) > 10
    codes = {int(code) for code in service["SuccessExitStatus"].split()}
    assert codes <= set(ExitCode)


def test_the_timer_starts_the_service() -> None:
    assert unit(named(".timer")[0])["Timer"]["Persistent"] == "yes"
    assert Path(named(".timer")[0]).stem == Path(named(".service")[0]).stem
    assert unit(named(".service")[0])["Service"]["Type"] == "oneshot"
    assert unit(named("hourly.service")[0])["Service"]["RestartPreventExitStatus"] == str(int(ExitCode.USAGE))


# Containers


def test_the_container_runs_without_privileges_and_its_root_is_on_a_volume() -> None:
    steps = instructions(files()["Dockerfile"])
    names = [name for name, _ in steps]
    values: dict[str, Any] = dict(steps)
    assert names[0] == "FROM"
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert values["USER"] not in {"root", "0"}
    assert f"CRYPTO_ARCHIVE_OUTPUT_DIRECTORY={values['VOLUME']}" in values["ENV"].split()
    assert values["ENTRYPOINT"] == ["crypto-archive"]
    assert parse(values["CMD"]) == "collect"


def test_calls_of_the_container_are_right() -> None:
    calls = re.findall(r"^docker run .+ binance-archive(.*)$", TEXT, re.MULTILINE)
    assert len(calls) == 2
    for call in filter(None, calls):
        assert parse(shlex.split(call)) == "plan"


# Alerts


def test_alerts_go_by_metrics_that_are_written() -> None:
    (group,) = yaml.safe_load(files()[named("rules/crypto-archive.yaml")[0]])["groups"]
    written = (DOCS / "commands.md").read_text("utf-8")
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"\d+[smhd]", rule["for"])
        assert balanced(rule["expr"])
        metrics = re.findall(r"\bcrypto_archive_\w+", rule["expr"])
        assert metrics
        for metric in metrics:
            row = next(line for line in written.splitlines() if line.startswith(f"- `{metric}` "))
            assert all(f"`{label}`" in row for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))


def balanced(expression: str) -> bool:
    depth = 0
    for sign in expression:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0


def test_the_line_without_prometheus_reports_a_job_that_has_stopped(tmp_path: Path) -> None:
    (line,) = re.findall(r"^find archive/.+$", TEXT, re.MULTILINE)
    report = tmp_path / "archive" / ".crypto-archive" / "runs" / "one" / "report.json"
    report.parent.mkdir(parents=True)

    def said() -> str:
        return subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False).stdout

    assert "no success" in said()
    report.write_text('{\n  "status": "failed"\n}')
    assert "no success" in said()
    report.write_text('{\n  "status": "success"\n}')
    assert said() == ""


def test_what_is_rotated_is_a_block_of_known_words() -> None:
    head, *lines, end = files()["/etc/logrotate.d/crypto-archive"].splitlines()[1:]
    assert (head[-1], end) == ("{", "}")
    assert {line.split()[0] for line in lines} <= {"weekly", "rotate", "compress", "missingok", "notifempty"}
