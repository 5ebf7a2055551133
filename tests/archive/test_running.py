"""The fixtures that run the command line give a process what the test says, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.archive.sample import bulk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.archive.running import Runner
    from tests.archive.sample import SampleSpec
    from tests.archive.served import Archive


def python(run: Runner, code: str) -> Runner:
    return replace(run, command=(sys.executable, "-c", code))


def test_the_environment_holds_the_endpoint_and_no_setting_of_ours(run: Runner, archive: Archive) -> None:
    code, stdout, _ = python(run, "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))")()
    folder, environment = json.loads(stdout)
    assert code == 0
    assert list(Path(folder).iterdir()) == []
    assert environment["CRYPTO_ARCHIVE_ENDPOINT_URL"] == archive.endpoint_url
    ours = {name for name in environment if name.startswith(("CRYPTO_ARCHIVE_", "AWS_"))}
    assert ours - {"CRYPTO_ARCHIVE_TEST_ENDPOINT"} == {"CRYPTO_ARCHIVE_ENDPOINT_URL"}
    assert environment["XDG_CONFIG_HOME"].startswith(environment["HOME"])


def test_exit_code_and_both_streams_come_back(run: Runner) -> None:
    ended = python(run, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")("argument")
    assert ended == (3, "out\n", "err\n")


def test_the_package_is_importable_from_any_folder(run: Runner) -> None:
    assert python(run, "import crypto_archive; print(crypto_archive.__version__)")().code == 0


def test_variables_and_endpoint_can_be_set(run: Runner) -> None:
    code = "import os; print(os.environ['CRYPTO_ARCHIVE_ENDPOINT_URL'], os.environ['CRYPTO_ARCHIVE_REGION'])"
    changed = run.at("http://127.0.0.1:9").with_environment(CRYPTO_ARCHIVE_REGION="eu-west-1")
    assert python(changed, code)().stdout == "http://127.0.0.1:9 eu-west-1\n"


def test_a_process_that_hangs_fails_the_test_with_what_it_said(run: Runner) -> None:
    hanging = python(run, "import threading; print('so far', flush=True); threading.Event().wait()")
    with pytest.raises(AssertionError, match=r"did not end within 1 s; it said:\nso far"):
        hanging(seconds=1)


@pytest.mark.skipif(os.name == "nt", reason="signals end processes on POSIX")
def test_a_started_process_can_be_signalled(run: Runner) -> None:
    with python(run, "import signal; print('up', flush=True); signal.pause()").start() as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM


def test_a_test_can_serve_a_sample_of_its_own(own_archive: Callable[[SampleSpec], Archive], archive: Archive) -> None:
    own = own_archive(bulk(30))
    assert own.endpoint_url != archive.endpoint_url
    assert all((own.bucket / key).is_file() for key in own.spec.keys)
