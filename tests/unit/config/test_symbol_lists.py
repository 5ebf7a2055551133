"""Lists of symbols, from files and from standard input: their words, and what is told of wrong ones by its place."""

from __future__ import annotations

import io
import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crypto_archive.config.symbol_lists import LARGEST_BYTES
from crypto_archive.errors import ConfigError
from crypto_archive.model import Market
from tests.unit.asking import load_run_config

if TYPE_CHECKING:
    from collections.abc import Callable

TODAY = date(2025, 7, 16)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def given_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """A function that says what is in standard input."""
    return lambda content: monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def chosen(*presets: str, **options: object) -> tuple[str, ...]:
    """Return the symbols on spot."""
    given = {"markets": ["spot"]} | options
    return tuple(load_run_config(presets, given, today=TODAY).request.selection.symbols[Market.SPOT])


def refused(*presets: str, **options: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_run_config(presets, options, today=TODAY)
    return [str(problem) for problem in caught.value.problems]


def written(content: str | bytes, name: str = "symbols.txt") -> str:
    """Write a list and return the word for it."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return f"@{name}"


# What a list may hold


@pytest.mark.parametrize(
    "content",
    [
        "BTCUSDT\n*USDC\n!*UP*\n币安人生USDT\n",
        "BTCUSDT,*USDC, !*UP*\t币安人生USDT",
        "# mine\n\nBTCUSDT # the first\r\n*USDC\r\n!*UP*,\r\n\r\n币安人生USDT",
        "BTCUSDT\r*USDC\r!*UP*\r币安人生USDT\r",
        "\ufeffBTCUSDT\n*USDC !*UP*\n币安人生USDT",
        "BTCUSDT\n*USDC\n!*UP*\n币安人生USDT BTCUSDT",
    ],
    ids=["lines", "commas", "comments", "old line ends", "byte order mark", "twice"],
)
def test_words_of_a_list(content: str) -> None:
    assert chosen(symbols=[written(content)]) == ("BTCUSDT", "*USDC", "!*UP*", "币安人生USDT")


def test_all_means_every_symbol_in_a_list_and_next_to_it() -> None:
    assert chosen(symbols=["all", written("!*UP*\nall")]) == ("*", "!*UP*")


def test_lists_keep_their_place_among_other_words() -> None:
    first, second = written("A1 A2", "one.txt"), written("B1", "lists/two.txt")
    assert chosen(symbols=["X", first, "Y", second, "!Z"]) == ("X", "A1", "A2", "Y", "B1", "!Z")


def test_a_preset_reads_lists_from_its_own_folder(here: Path) -> None:
    written("WRONG")
    written("BTCUSDT", "presets/symbols.txt")
    Path("presets/my.yaml").write_text("symbols: ['@symbols.txt']\n", encoding="utf-8")
    assert chosen("presets/my.yaml") == ("BTCUSDT",)
    Path("presets/my.yaml").write_text(f"symbols: ['@{here}/symbols.txt']\n", encoding="utf-8")
    assert chosen("presets/my.yaml") == ("WRONG",)


def test_lists_may_stand_in_a_mapping_per_market() -> None:
    written("BTCUSDT ETHUSDT")
    Path("my.yaml").write_text("symbols: {spot: ['@symbols.txt', X], options: [BTC]}\n", encoding="utf-8")
    selection = load_run_config(["my.yaml"], {}, today=TODAY).request.selection
    assert selection.symbols == {Market.SPOT: ("BTCUSDT", "ETHUSDT", "X"), Market.OPTIONS: ("BTC",)}


def test_standard_input(given_input: Callable[[bytes], None]) -> None:
    given_input("BTCUSDT\n币安人生USDT # x\n".encode())
    assert chosen(symbols=["X", "-"]) == ("X", "BTCUSDT", "币安人生USDT")


def test_standard_input_is_left_alone_without_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert chosen(symbols=["X", "-X"]) == ("X", "-X")


NAMES = st.text(st.characters(exclude_characters="/#,@!'\"", exclude_categories=["C", "Z"]), min_size=1, max_size=12)
GAPS = st.sampled_from([" ", "\n", ", ", "\t", "\r\n", " # a comment, with @words\n", "\n\n"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(st.tuples(NAMES.filter(lambda name: name not in {"-", ".", "..", "all"}), GAPS), min_size=1))
def test_what_is_written_is_read_again(words: list[tuple[str, str]]) -> None:
    word = written("".join(name + gap for name, gap in words))
    assert chosen(symbols=[word]) == tuple(dict.fromkeys(name for name, _ in words))


# What is told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "the list of symbols 'symbols.txt' cannot be read: No such file or directory"),
        (b"", "the list of symbols 'symbols.txt' contains no symbols"),
        (b"\n # nothing\n,\n", "the list of symbols 'symbols.txt' contains no symbols"),
        (b"BTC\xff", "the list of symbols 'symbols.txt' is not UTF-8 text"),
        ("BTCUSDT".encode("utf-16"), "the list of symbols 'symbols.txt' is not UTF-8 text"),
        (
            b"A" * (LARGEST_BYTES + 1),
            "the list of symbols 'symbols.txt' cannot be read: it is larger than 1,000,000 bytes",
        ),
    ],
    ids=["missing", "empty", "only a comment", "bytes", "another coding", "large"],
)
def test_a_list_that_cannot_be_read(content: bytes | None, message: str) -> None:
    if content is not None:
        written(content)
    assert refused(symbols=["@symbols.txt"]) == [f"--symbol: {message}"]
    Path("my.yaml").write_text("markets: [spot]\nsymbols:\n  spot: ['@symbols.txt']\n", encoding="utf-8")
    assert refused("my.yaml") == [f"my.yaml, line 3, symbols.spot[0]: {message}"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_list_is_a_file_or_standard_input() -> None:
    os.mkfifo("pipe")
    message = "--symbol: the list of symbols 'pipe' cannot be read: it is not a regular file; use '-' for a pipe"
    assert refused(symbols=["@pipe"]) == [message]


def test_a_list_has_so_many_symbols_and_no_more() -> None:
    written("A " * 100_001)
    assert refused(symbols=["@symbols.txt"]) == [
        "--symbol @symbols.txt, line 1: the list has more than 100,000 symbols"
    ]


def test_wrong_words_are_reported_by_their_lines() -> None:
    written("A\nB, C/D\n\n@more.txt\n'*USDT'\n-\n!@x", "list.txt")
    messages = [
        "line 2: 'C/D' is not a valid symbol; write a name like BTCUSDT, or a glob like '*USDT'",
        "line 4: '@more.txt' is not allowed in a list of symbols; a list contains names and globs, not other lists",
        "line 5: '*USDT' needs no quotes in a list of symbols",
        "line 6: '-' is not allowed in a list of symbols; a list contains names and globs, not other lists",
        "line 7: '!@x' is not allowed in a list of symbols; a list contains names and globs, not other lists",
    ]
    assert refused(symbols=["X", "@list.txt"]) == [f"--symbol @list.txt, {message}" for message in messages]
    Path("my.yaml").write_text("symbols:\n  - X\n  - '@list.txt'\n", encoding="utf-8")
    expected = [f"my.yaml, line 3, symbols[1] @list.txt, {message}" for message in messages]
    assert sorted(refused("my.yaml")) == sorted(expected)


def test_what_stands_behind_a_list_keeps_its_own_place() -> None:
    written("A B C", "list.txt")
    Path("my.yaml").write_text("symbols:\n  - '@list.txt'\n  - D/E\n  - 7\n", encoding="utf-8")
    assert refused("my.yaml") == [
        "my.yaml, line 3, symbols[1]: 'D/E' is not a valid symbol; write a name like BTCUSDT, or a glob like '*USDT'",
        'my.yaml, line 4, symbols[2]: 7 is a number, not text; put it in quotes: "7"',
    ]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("@", "'@' does not name a file; write it like '@symbols.txt'"),
        ("@a\0b", "'@a\\x00b' does not name a file; write it like '@symbols.txt'"),
        ("@.", "the list of symbols '.' cannot be read: it is a folder"),
        ("!@x", "'!@x' cannot exclude a whole list; write ! before each symbol in the list"),
    ],
)
def test_words_that_are_no_lists(word: str, message: str) -> None:
    assert refused(symbols=[word]) == [f"--symbol: {message}"]


def test_a_preset_cannot_read_standard_input(given_input: Callable[[bytes], None]) -> None:
    given_input(b"BTCUSDT")
    Path("my.yaml").write_text("symbols: ['-']\n", encoding="utf-8")
    assert refused("my.yaml") == [
        (
            "my.yaml, line 1, symbols[0]: '-' (standard input) works only with the option --symbol; "
            "name a file: '@symbols.txt'"
        )
    ]


def test_standard_input_is_read_once(given_input: Callable[[bytes], None]) -> None:
    given_input(b"A/B\n")
    assert refused(symbols=["-", "-"]) == [
        "--symbol: standard input can be read only once",
        "--symbol -, line 1: 'A/B' is not a valid symbol; write a name like BTCUSDT, or a glob like '*USDT'",
    ]


def test_empty_standard_input(given_input: Callable[[bytes], None]) -> None:
    given_input(b"")
    assert refused(symbols=["-"]) == ["--symbol: standard input contains no symbols"]


def test_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert refused(symbols=["-"]) == ["--symbol: cannot read symbols: standard input is closed"]
