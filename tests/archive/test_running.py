"""The fixtures that run the command line give it what the test says, and nothing else: as a process and within ours."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import runpy
import signal
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.archive.results import THREE, collect
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


# Within the process of the tests


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """A function that lets calls run something else than the command line."""

    def run_instead(something: Callable[[], object]) -> None:
        monkeypatch.setattr(runpy, "run_module", lambda *_, **__: something())

    return run_instead


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 2),
        (("plan", "--nonsense"), 2),
        (("plan", *THREE, "--format", "jsonl", "--quiet", "--refresh"), 0),
        (("plan", "-m", "spot", "-t", "bookDepth", "-s", "BTCUSDT", "--start", "2025-07-13"), 3),
        (("verify", "--all", "-o", "nowhere", "--quiet"), 5),
    ],
    ids=lambda arguments: " ".join(arguments) if isinstance(arguments, tuple) else None,
)
def test_a_call_ends_as_a_process_does(run: Runner, arguments: tuple[str, ...], code: int) -> None:
    here = run(*arguments)
    assert here == run.as_process(*arguments)
    assert here.code == code, here


def test_a_collect_does_too(run: Runner) -> None:
    here, apart = collect(run, *THREE, to="here"), collect(run.as_process, *THREE, to="apart")
    assert (here.code, here.outcomes, here.verdicts) == (apart.code, apart.outcomes, apart.verdicts)


def test_a_call_gets_what_a_process_would(
    run: Runner, instead: Callable[[Callable[[], object]], None], capfd: pytest.CaptureFixture[str]
) -> None:
    def look() -> None:
        assert dict(os.environ) == dict(run.environment)
        assert run.folder.samefile(Path.cwd())
        assert sys.argv[1:] == ["plan", "-n"]
        assert sys.stdin.read() == ""
        assert not any(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
        print("an umlaut: ä, half of one: \udce4", file=sys.stderr)
        print("in its turn")
        sys.stdout.flush()
        os.write(1, b"by its number\n")
        print("at last, with the end of the process")

    instead(look)
    written = "in its turn\nby its number\nat last, with the end of the process\n"
    assert run("plan", "-n") == (0, written, "an umlaut: ä, half of one: \\udce4\n")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ending", "code", "stderr"), [(None, 0, ""), (3, 3, ""), ("why not", 1, "why not\n")], ids=["none", "3", "text"]
)
def test_an_exit_is_reported_by_its_code(
    run: Runner, instead: Callable[[Callable[[], object]], None], ending: object, code: int, stderr: str
) -> None:
    instead(lambda: sys.exit(ending))  # type: ignore[arg-type]
    assert run() == (code, "", stderr)


def test_nothing_of_a_call_is_left(run: Runner, instead: Callable[[Callable[[], object]], None]) -> None:
    def state() -> list[Any]:
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
        return [
            dict(os.environ), Path.cwd(), sys.argv, sys.stdin, sys.stdout, sys.stderr, sys.modules["__main__"],
            tempfile.gettempdir(), resource.getrlimit(resource.RLIMIT_NOFILE), list(map(signal.getsignal, signals)),
            signal.getitimer(signal.ITIMER_REAL)[0], threading.enumerate(), gc.get_freeze_count(),
            len(psutil.Process().open_files()), [os.fstat(number).st_ino for number in (0, 1, 2)],
        ]  # fmt: skip

    def change() -> None:
        os.environ["CRYPTO_ARCHIVE_REGION"] = "eu-west-1"
        os.chdir("/")
        sys.argv.clear()
        sys.stdout = sys.stderr
        tempfile.tempdir = "/nowhere"
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=time.sleep, args=(0.05,)).start()
        os.dup2(2, 1)

    before = state()
    instead(change)
    assert run().code == 0
    assert state() == before


def test_what_a_process_would_die_of_fails_the_test(
    run: Runner, instead: Callable[[Callable[[], object]], None]
) -> None:
    def crash() -> None:
        print("so far")
        raise ZeroDivisionError

    instead(crash)
    with pytest.raises(ZeroDivisionError) as raised:
        run()
    assert raised.value.__notes__ == ["It had said:\nso far\n\n"]


def test_what_a_call_forgets_to_close_is_noticed_immediately(
    run: Runner, instead: Callable[[Callable[[], object]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: noticed.append(str(found.exc_value)))

    def forget() -> None:
        circle: list[object] = [Path(os.devnull).open()]  # noqa: SIM115
        circle.append(circle)

    instead(forget)
    run()
    assert len(noticed) == 1
    assert noticed[0].startswith("unclosed file")


def test_a_call_that_hangs_fails_the_test_with_what_it_said(
    run: Runner, instead: Callable[[Callable[[], object]], None]
) -> None:
    def hang() -> None:
        print("so far")
        try:
            threading.Event().wait()
        finally:
            with contextlib.suppress(Exception):
                threading.Event().wait()

    instead(hang)
    with pytest.raises(AssertionError, match=r"did not end within 0.2 s; it said:\nso far"):
        run("collect", seconds=0.2)


def test_a_call_that_a_person_interrupts_ends_the_tests(
    run: Runner, instead: Callable[[Callable[[], object]], None]
) -> None:
    instead(lambda: sys.exit(130))
    with pytest.raises(KeyboardInterrupt):
        run("collect")


def test_what_only_a_process_heeds_is_refused(run: Runner) -> None:
    with pytest.raises(AssertionError, match="heeded by `as_process` only"):
        run.with_environment(PYTHONUTF8="0")
    assert run.as_process.with_environment(PYTHONUTF8="0")("--version").code == 0


def test_a_call_from_a_thread_is_refused(run: Runner) -> None:
    failed: list[BaseException] = []

    def call() -> None:
        try:
            run("--version")
        except AssertionError as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "threads share folder and environment" in str(failed[0])
