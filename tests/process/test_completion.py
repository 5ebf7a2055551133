"""Completion as shells ask for it: the protocols of bash, zsh and fish, the real bash, and what is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import crypto_archive
from tests.archive.inside import run_inside

BASH, ZSH, FISH = (shutil.which(name) or "" for name in ("bash", "zsh", "fish"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of one's own, a folder to work in, and the program on the search path."""
    for name in ("bin", "home", "work"):
        (tmp_path / name).mkdir()
    program = tmp_path / "bin" / "crypto-archive"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m crypto_archive "$@"\n', "utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(Path(crypto_archive.__file__).parents[1]))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


def said(command: list[str], **variables: str) -> str:
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return done.stdout


def ask(shell: str, line: str) -> str:
    """Ask within this process; the tests with real shells start one."""
    done = run_inside([], Path.cwd(), os.environ | question(shell, line), seconds=60)
    assert done.stderr == ""
    return done.stdout


def question(shell: str, line: str) -> dict[str, str]:
    """Return the variables by which a shell asks."""
    words = line.split(" ")
    return {
        "_CRYPTO_ARCHIVE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_WORD_TO_COMPLETE": words[-1],
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("crypto-archive do", ["doctor"]),
        ("crypto-archive plan -p re", ["research", "resilient"]),
        ("crypto-archive plan -p research -p resi", ["resilient"]),
        ("crypto-archive collect -m ", ["spot", "futures_um", "futures_cm", "options"]),
        ("crypto-archive verify -m options -t ", ["BVOLIndex", "EOHSummary"]),
        ("crypto-archive plan -m spot -t klines -i 1s", ["1s"]),
        ("crypto-archive plan -m futures_um -t klines -i 1s", []),
        ("crypto-archive plan -m futures_cm -s BTC", ["BTCUSD_PERP"]),
        ("crypto-archive plan --discover l", ["listing"]),
        ("crypto-archive plan -m spot,op", ["spot,options"]),
        ("crypto-archive verify -m options,spot -t BVOLIndex,EO", ["BVOLIndex,EOHSummary"]),
        ("crypto-archive plan --format ", ["jsonl", "runfiles"]),
        ("crypto-archive symbols -t metrics -i ", []),
        ("crypto-archive matrix show --market opt", ["options"]),
        ("crypto-archive preset show resi", ["resilient"]),
        ("crypto-archive preset new mine --from pipe", ["pipeline"]),
        ("crypto-archive doctor -p low", ["low-memory"]),
        ("crypto-archive help pl", ["plan"]),
        ("crypto-archive help matrix ", ["show", "check"]),
        ("crypto-archive plan -p backtest,low", ["backtest,low-memory"]),
    ],
)
def test_bash_is_given_the_words(line: str, words: list[str]) -> None:
    assert ask("bash", line).split() == words


def test_fish_and_zsh_are_given_what_they_mean_too() -> None:
    fish, zsh = ask("fish", "crypto-archive plan -p re"), ask("zsh", "crypto-archive plan -p re")
    assert [line.split("\t")[0] for line in fish.splitlines()] == ["research", "resilient"]
    assert fish.splitlines()[0].split("\t")[1].startswith("Research dataset")
    assert '"research":"Research dataset' in zsh
    assert zsh.count("\n") == 2


@pytest.mark.parametrize("shell", ["powershell", "pwsh"])
def test_powershell_is_given_what_they_mean_too(shell: str) -> None:
    lines = [line.split(":::") for line in ask(shell, "crypto-archive plan -p re").splitlines()]
    assert [line[0] for line in lines] == ["research", "resilient"]
    assert lines[0][1].startswith("Research dataset")
    script = said(["crypto-archive", "--show-completion", shell])
    assert "Register-ArgumentCompleter -Native -CommandName crypto-archive" in script
    assert "complete_powershell" in script


def test_trouble_is_kept_from_the_prompt(tmp_path: Path) -> None:
    listings = tmp_path / "work" / "output" / ".crypto-archive" / "listings.sqlite"
    listings.mkdir(parents=True)
    (tmp_path / "work" / "broken.yaml").write_text("rows: 7", "utf-8")
    assert ask("bash", "crypto-archive plan -m options -s BT").split() == ["BTC"]
    assert ask("bash", "crypto-archive plan --matrix broken.yaml -t k").split() == []
    assert ask("bash", "crypto-archive plan --no-such-option -m sp").split() in (["spot"], [])


@pytest.mark.skipif(not BASH, reason="there is no bash")
def test_the_real_bash_completes_what_was_installed(home: Path) -> None:
    said(["crypto-archive", "--install-completion", "bash"])
    script = (
        f"source '{home}/.bashrc'; COMP_WORDS=(crypto-archive plan -p re); COMP_CWORD=3; "
        '$(complete -p crypto-archive | sed "s/.*-F //; s/ .*//") crypto-archive; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert said([BASH, "--norc", "-c", script]).split() == ["research", "resilient"]


@pytest.mark.skipif(not FISH, reason="there is no fish")
def test_the_real_fish_completes_what_was_installed(home: Path) -> None:
    said(["crypto-archive", "--install-completion", "fish"])
    printed = said(
        [FISH, "--command", "complete --do-complete 'crypto-archive plan -p re'"], XDG_CONFIG_HOME=f"{home}/.config"
    )
    assert [line.split("\t")[0] for line in printed.splitlines()] == ["research", "resilient"]


@pytest.mark.skipif(not ZSH, reason="there is no zsh")
def test_the_real_zsh_loads_what_was_installed(home: Path) -> None:
    """Its completion needs a terminal; what is loaded for the command, and the words it is given, do not."""
    said(["crypto-archive", "--install-completion", "zsh"])
    script = "autoload -Uz compinit && compinit -u -D && print -r -- ${_comps[crypto-archive]}"
    assert said([ZSH, "-f", "-c", f"fpath=({home}/.zfunc $fpath); {script}"]).strip() == "_crypto-archive"
    assert ".zfunc" in (home / ".zshrc").read_text("utf-8")


@pytest.mark.parametrize(
    ("shell", "file"),
    [
        ("bash", ".bash_completions/crypto-archive.sh"),
        ("zsh", ".zfunc/_crypto-archive"),
        ("fish", ".config/fish/completions/crypto-archive.fish"),
    ],
)
def test_it_is_installed_by_typer_s_own_means(shell: str, file: str, home: Path) -> None:
    assert file.rpartition("/")[2] in said(["crypto-archive", "--install-completion", shell])
    text = (home / file).read_text("utf-8")
    assert f"_CRYPTO_ARCHIVE_COMPLETE=complete_{shell}" in text
    assert text.strip() == said(["crypto-archive", "--show-completion", shell]).strip()


def test_it_is_the_same_when_started_as_a_module() -> None:
    as_module = said([sys.executable, "-m", "crypto_archive", "--show-completion", "bash"])
    assert as_module == said(["crypto-archive", "--show-completion", "bash"])
