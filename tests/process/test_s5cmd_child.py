from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest

from crypto_archive.errors import S5cmdUnusable
from crypto_archive.s5cmd import child as child_module
from crypto_archive.s5cmd.child import LONGEST_LINE, Child, stop_all
from crypto_archive.s5cmd.output import Copied, Message, OtherLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_subprocess import FakeProcess

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and process groups of POSIX")

COPIED = '{"operation":"cp","success":true,"source":"s3://b/k","destination":"k","object":{"type":"file","size":3}}'
READY = OtherLine("ready")
PAUSE = "print('ready', flush=True)\nwhile True: signal.pause()"
DIES_OF_SIGINT = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n{PAUSE}"
IGNORES_SIGINT = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{PAUSE}"
IGNORES_BOTH = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{IGNORES_SIGINT}"


def python(text: str, *args: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", text, *args]


def run(text: str) -> tuple[list[Message], int | None]:
    with Child(python(text)) as child:
        messages = list(child.messages())
        return messages, child.returncode


@contextmanager
def lifeline(path: Path) -> Iterator[int]:
    """A named pipe whose reader sees the end of file when the last process that has it open for writing is gone."""
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reader, True)
    try:
        yield reader
    finally:
        os.close(reader)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid)


# What it prints


def test_messages_of_both_streams_in_order_and_the_exit_code() -> None:
    text = f"""
import sys
print({COPIED!r}, flush=True)
print("Incorrect Usage", file=sys.stderr, flush=True)
sys.exit(1)
"""
    assert run(text) == ([Copied("s3://b/k", "k", 3), OtherLine("Incorrect Usage")], 1)


def test_the_last_line_may_lack_its_end() -> None:
    assert run(f"import sys; sys.stdout.write({COPIED!r})") == ([Copied("s3://b/k", "k", 3)], 0)


def test_invalid_utf8_is_noise() -> None:
    text = r"import sys; sys.stdout.buffer.write(b'\xff\xfe{\n\x00\n')"
    assert run(text) == ([OtherLine("\ufffd\ufffd{"), OtherLine(r"\x00")], 0)


def test_a_huge_line_is_cut_and_the_next_one_is_read() -> None:
    text = f"import sys; sys.stdout.write('x' * {3 * LONGEST_LINE + 5} + chr(10) + {COPIED!r} + chr(10))"
    messages, code = run(text)
    assert messages == [OtherLine("x" * LONGEST_LINE), Copied("s3://b/k", "k", 3)]
    assert code == 0


def test_a_line_that_is_exactly_as_long_as_allowed() -> None:
    text = f"import sys; sys.stdout.write('x' * {LONGEST_LINE - 1} + chr(10) + {COPIED!r})"
    assert run(text)[0][1] == Copied("s3://b/k", "k", 3)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_a_line_that_comes_in_pieces_is_one_even_if_a_letter_is_cut(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(child_module, "PIPE_BYTES", size)
    copied = COPIED.replace("s3://b/k", "s3://b/币")
    text = f"import sys; sys.stdout.buffer.write({f'{copied}{chr(10)}x{chr(10)}{chr(10)}币'.encode()!r})"
    assert run(text)[0] == [Copied("s3://b/币", "k", 3), OtherLine("x"), OtherLine(""), OtherLine("币")]


def test_what_comes_together_is_one_batch() -> None:
    lines = [f"{number} {'x' * 100}" for number in range(5_000)]
    with Child(python("for n in range(5000): print(n, 'x' * 100)")) as child:
        batches = list(child.batches())
    assert [message for batch in batches for message in batch] == [OtherLine(line) for line in lines]
    assert len(batches) < 500


def test_lines_wait_for_others_but_not_beyond_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first one, and with a pause without an end, only the end of the process wakes up its reader."""
    monkeypatch.setattr(child_module, "LONGEST_LINGER_SECONDS", 3600.0)
    monkeypatch.setattr(child_module, "READ_BYTES", 1 << 40)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    text = "import sys\nprint('ready', flush=True)\nopen(sys.argv[1]).read()\nfor n in range(3): print(n, flush=True)"
    with Child(python(text, str(gate))) as child:
        batches = child.batches(linger=True)
        assert next(batches) == [READY]
        gate.write_text("", encoding="utf-8")
        assert list(batches) == [[OtherLine(str(number)) for number in range(3)]]
    assert child.returncode == 0


def test_no_output_at_all() -> None:
    assert run("pass") == ([], 0)


def test_messages_come_as_they_are_printed() -> None:
    with Child(python(DIES_OF_SIGINT)) as child:
        assert next(child.messages()) == READY
        assert child.returncode is None


# How it is started


def test_standard_input_is_empty() -> None:
    assert run("import sys; print(repr(sys.stdin.read()))") == ([OtherLine("''")], 0)


def test_folder_and_environment(tmp_path: Path) -> None:
    text = "import os; print(os.getcwd()); print(os.environ['MARK'], 'HOME' in os.environ)"
    with Child(python(text), cwd=tmp_path, env={"MARK": "here"}) as child:
        assert list(child.messages()) == [OtherLine(str(tmp_path)), OtherLine("here False")]


def test_a_session_of_its_own() -> None:
    with Child(python(DIES_OF_SIGINT)) as child:
        assert next(child.messages()) == READY
        assert os.getsid(child.pid) == os.getpgid(child.pid) == child.pid


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(S5cmdUnusable, match=r"s5cmd could not be started: .*/nothing: No such file or directory"):
        Child([str(tmp_path / "nothing")])


def test_arguments_and_exit_code_are_passed_on(fp: FakeProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    # The fake's process number is nobody's; it must not be signalled.
    monkeypatch.setattr(child_module, "_signal_group", lambda *_: None)
    fp.register(["s5cmd", "--json", "run", fp.any()], stdout=[COPIED], returncode=1)
    with Child(["s5cmd", "--json", "run", "/x.s5cmd"]) as child:
        assert list(child.messages()) == [Copied("s3://b/k", "k", 3)]
        assert child.returncode == 1
    assert fp.call_count(["s5cmd", "--json", "run", "/x.s5cmd"]) == 1


# How it ends


@pytest.mark.parametrize(
    ("text", "grace_seconds", "ended_by"),
    [
        (DIES_OF_SIGINT, 60.0, signal.SIGINT),
        (IGNORES_SIGINT, 2.0, signal.SIGTERM),
        (IGNORES_BOTH, 0.1, signal.SIGKILL),
    ],
)
def test_stop_goes_as_far_as_it_must_while_messages_are_waited_for(
    text: str, grace_seconds: float, ended_by: signal.Signals
) -> None:
    with Child(python(text)) as child:
        messages = child.messages()
        assert next(messages) == READY
        stopper = threading.Thread(target=child.stop, args=(grace_seconds,))
        stopper.start()
        assert list(messages) == []
        assert child.returncode == -ended_by
        stopper.join()
        assert gone(child.pid)


def test_kill_does_not_ask() -> None:
    with Child(python(DIES_OF_SIGINT)) as child:
        assert next(child.messages()) == READY
        child.kill()
        assert child.returncode == -signal.SIGKILL
        assert gone(child.pid)


def test_what_is_printed_on_the_way_out_is_still_read() -> None:
    text = f"import signal, sys\nsignal.signal(signal.SIGINT, lambda *_: (print({COPIED!r}), sys.exit(1)))\n{PAUSE}"
    with Child(python(text)) as child:
        messages = child.messages()
        assert next(messages) == READY
        child.stop(30)
        assert list(messages) == [Copied("s3://b/k", "k", 3)]
        assert child.returncode == 1


def test_leaving_the_context_ends_it() -> None:
    with Child(python(IGNORES_BOTH)) as child:
        assert next(child.messages()) == READY
    assert child.returncode == -signal.SIGKILL
    assert gone(child.pid)


def test_an_error_in_the_context_ends_it() -> None:
    with pytest.raises(RuntimeError, match="ours"), Child(python(IGNORES_BOTH)) as child:
        raise RuntimeError("ours")
    assert child.returncode == -signal.SIGKILL
    assert gone(child.pid)


def test_stopping_what_has_ended_does_nothing() -> None:
    with Child(python("raise SystemExit(7)")) as child:
        assert list(child.messages()) == []
        child.stop(1)
        child.kill()
        assert child.returncode == 7
    child.stop(1)
    assert child.returncode == 7


def test_many_threads_may_stop_it_together() -> None:
    with Child(python(IGNORES_SIGINT)) as child:
        messages = child.messages()
        assert next(messages) == READY
        threads = [threading.Thread(target=child.stop, args=(0.2,)) for _ in range(4)]
        threads += [threading.Thread(target=child.kill)]
        for thread in threads:
            thread.start()
        assert list(messages) == []
        for thread in threads:
            thread.join()
        assert child.returncode is not None


def test_several_are_stopped_together() -> None:
    children = [Child(python(text)) for text in (DIES_OF_SIGINT, IGNORES_SIGINT, IGNORES_BOTH)]
    try:
        for child in children:
            assert next(child.messages()) == READY
        stop_all(children, 0.2)
        assert children[2].returncode == -signal.SIGKILL
        assert all(gone(child.pid) for child in children)
    finally:
        for child in children:
            child.__exit__(None, None, None)


def test_a_child_that_closes_its_output_and_goes_on_can_be_stopped() -> None:
    text = "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\nprint('ready', flush=True)\n"
    text += "os.close(1); os.close(2)\nwhile True: signal.pause()"
    with Child(python(text)) as child:
        messages = child.messages()
        assert next(messages) == READY
        stopper = threading.Thread(target=child.stop, args=(30,))
        stopper.start()
        assert list(messages) == []
        assert child.returncode == -signal.SIGINT
        stopper.join()


# What it starts itself

GRANDCHILD = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.open(sys.argv[1], os.O_WRONLY)
print("ready", flush=True)
while True: signal.pause()
"""


def family(path: Path, parent: str) -> list[str]:
    """A parent that starts a grandchild which holds our lifeline and the output, and heeds no polite signal."""
    start = f"import signal, subprocess, sys\nsubprocess.Popen([*{python(GRANDCHILD)!r}, sys.argv[1]])\n"
    return python(start + parent, str(path))


@pytest.mark.parametrize(
    "parent",
    [
        pytest.param("signal.signal(signal.SIGINT, signal.SIG_DFL)\nwhile True: signal.pause()", id="parent stays"),
        pytest.param("import os; os._exit(0)", id="parent has left"),
    ],
)
@pytest.mark.parametrize("way", ["stop", "kill", "leave"])
def test_grandchildren_end_with_it(tmp_path: Path, parent: str, way: str) -> None:
    path = tmp_path / "lifeline"
    with lifeline(path) as reader:
        with Child(family(path, parent)) as child:
            messages = child.messages()
            assert next(messages) == READY
            if way == "stop":
                child.stop(0.5)
                assert list(messages) == []
            elif way == "kill":
                child.kill()
                assert list(messages) == []
        assert os.read(reader, 1) == b""
        assert gone(child.pid)


# What it leaves behind


def open_files() -> int:
    gc.collect()
    return psutil.Process().num_fds()


@pytest.mark.parametrize("text", ["print('ready')", DIES_OF_SIGINT])
def test_nothing_stays_open_and_no_zombie_is_left(text: str) -> None:
    def once(command: Sequence[str]) -> int:
        with Child(command) as child:
            next(child.messages())
        return child.pid

    once(python(text))
    before = open_files()
    numbers = [once(python(text)) for _ in range(4)]
    assert open_files() == before
    assert all(gone(number) for number in numbers)


def test_a_failed_start_leaves_nothing_open(tmp_path: Path) -> None:
    before = open_files()
    for _ in range(4):
        with pytest.raises(S5cmdUnusable):
            Child([str(tmp_path / "nothing")])
    assert open_files() == before
