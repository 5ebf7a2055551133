"""Preset files: what is read, on which line it stands, and what is refused."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from crypto_archive.catalog import document as document_module
from crypto_archive.catalog.document import read_document
from crypto_archive.errors import ConfigError

if TYPE_CHECKING:
    from crypto_archive.catalog.document import Document


def read(folder: Path, content: str | bytes, name: str = "my.yaml") -> Document:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_document(path, name)


def refusals(folder: Path, content: str | bytes, name: str = "my.yaml") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, content, name)
    return [str(problem) for problem in caught.value.problems]


def test_places_name_the_line_of_fields_and_of_list_items(tmp_path: Path) -> None:
    document = read(tmp_path, "markets: [spot]\n\n# a comment\nintervals:\n  klines:\n    - 1h\n    - 1hh\n")
    assert document.place(("intervals",)) == "my.yaml, line 4, intervals"
    assert document.place(("intervals", "klines")) == "my.yaml, line 5, intervals.klines"
    assert document.place(("intervals", "klines", 1)) == "my.yaml, line 7, intervals.klines[1]"
    assert document.place(("markets", 0)) == "my.yaml, line 1, markets[0]"


def test_a_place_that_the_file_does_not_have_takes_the_line_around_it(tmp_path: Path) -> None:
    document = read(tmp_path, "markets: [spot]\ndate_range:\n  start: 2025-01-01\n")
    assert document.place(("date_range", "end")) == "my.yaml, line 2, date_range.end"
    assert document.place(("date_range", "start", 3)) == "my.yaml, line 3, date_range.start[3]"
    assert document.place(("nothing",)) == "my.yaml, nothing"


def test_words_that_yaml_likes_to_change_stay_words(tmp_path: Path) -> None:
    document = read(tmp_path, "symbols: [NO, on, 0123, 1_000, 1h, 2025-07-15]\nenable_resume: true\nbatch_size: 7")
    assert document.values == {
        "symbols": ["NO", "on", "0123", "1_000", "1h", "2025-07-15"],
        "enable_resume": True,
        "batch_size": 7,
    }


def test_merge_keys_may_be_overridden(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n")
    assert document.values["b"] == {"x": 3, "y": 2}


def test_json_with_tabs_is_read_and_has_lines(tmp_path: Path) -> None:
    document = read(tmp_path, '{\n\t"symbols":\t{"spot": ["A",\n\t\t"\x7f\\ud83d\\ude00"]}\n}', "my.json")
    assert document.values == {"symbols": {"spot": ["A", "\x7f\U0001f600"]}}
    assert document.place(("symbols", "spot", 1)) == "my.json, line 3, symbols.spot[1]"


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    assert read(tmp_path, '\ufeff{"batch_size": 1}', "my.json").values == {"batch_size": 1}
    assert read(tmp_path, "\ufeffbatch_size: 1").values == {"batch_size": 1}


QUOTES = "; text that starts with *, ! or @ needs quotes, such as '*USDT'"


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ("", "my.yaml: is empty; write lines like 'field: value'"),
        ("- spot\n", "my.yaml: is not a mapping of fields; write lines like 'field: value'"),
        ("a: 1\nb: 2\na: 3\n", "my.yaml, line 3, a: duplicate field, first defined on line 1"),
        ("symbols:\n\t- A\n", "my.yaml, line 2: is not valid YAML: tabs cannot indent a line; use spaces"),
        ("symbols: [*USDT]", f"my.yaml, line 1: is not valid YAML: found undefined alias 'USDT'{QUOTES}"),
        (
            "symbols: [!DOWN, A]",
            "my.yaml, line 1, symbols[0]: YAML reads '!DOWN' as a tag; put it in quotes if it is text",
        ),
        ("a: !!set {x}", "my.yaml, line 1, a: has the tag !!set; remove the tag"),
        (b"\xff\xfe\x00", "my.yaml: cannot be read: it is not UTF-8 text"),
        ("[" * 2_000, "my.yaml: is nested too deeply"),
        (
            "a: 1\n---\nb: 2\n",
            "my.yaml, line 2: is not valid YAML: expected a single document in the stream, but found another document",
        ),
        (
            "\na: " + "1" * 5000,
            "my.yaml, line 2: is not valid YAML: a number has too many digits, or a value does not fit its tag",
        ),
    ],
)
def test_yaml_that_is_refused(tmp_path: Path, content: str | bytes, refusal: str) -> None:
    assert refusals(tmp_path, content) == [refusal]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        ('{\n"a": 1\n"b": 2}', "my.json, line 3: is not valid JSON: Expecting ',' delimiter"),
        ('{\n\t"a": 1,\n\t"a": 2}', "my.json, line 3, a: duplicate field, first defined on line 2"),
        ('{"a": ' + "1" * 5000 + "}", "my.json: is not valid JSON: a number has too many digits"),
        ("[" * 200_000, "my.json: is nested too deeply"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, content: str, refusal: str) -> None:
    assert refusals(tmp_path, content, "my.json") == [refusal]


def test_all_keys_that_stand_twice_are_named(tmp_path: Path) -> None:
    found = refusals(tmp_path, "a: 1\na: 2\nb:\n  c: 1\n  c: 2\n")
    assert found == [
        "my.yaml, line 2, a: duplicate field, first defined on line 1",
        "my.yaml, line 5, b.c: duplicate field, first defined on line 4",
    ]


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^gone\.yaml: cannot be read: No such file or directory$"):
        read_document(tmp_path / "gone.yaml", "gone.yaml")


@settings(max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=60), st.text(max_size=60), st.text("ab:&*!{}[]<-,?|>'\" \n\t#%~019.e", max_size=60)
    ),
    name=st.sampled_from(["my.yaml", "my.json"]),
)
def test_whatever_a_file_holds_nothing_but_config_errors_come_out(
    tmp_path: Path, content: str | bytes, name: str
) -> None:
    raw = content if isinstance(content, bytes) else content.encode(errors="surrogatepass")
    try:
        document = read(tmp_path, raw, name)
    except ConfigError as error:
        refused = error.problems
    else:
        refused = ()
        document.place(("symbols", 0))
    assert all(problem.place.startswith(name) for problem in refused)


TOO_LARGE = (
    "is too large: a file has at most 2,000 values, with those that an alias (*name) repeats, and 1,000 in a mapping"
)


@pytest.fixture
def few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limit, or the tests would take seconds."""
    monkeypatch.setattr(document_module, "MOST_VALUES", 2_000)


def laughs(first: str, many: str) -> str:
    """Ten levels, each of which names the one below it nine times."""
    levels = [f"{name}: &{name} {many % ','.join([f'*{below}'] * 9)}" for below, name in pairwise("abcdefghij")]
    return "\n".join([f"a: &a {first}", *levels])


@pytest.mark.parametrize(
    "content",
    [
        laughs("[x]", "[%s]"),
        laughs("{k: 1}", "{<<: [%s]}"),
        "a: &a [*a]",
        "a: &a {b: *a}",
        f"a: [{'0,' * 2_000}]",
        "".join(f"a{number}: 1\n" for number in range(1001)),
    ],
    ids=["lists", "merges", "endless list", "endless mapping", "long", "wide"],
)
@pytest.mark.usefixtures("few_values")
def test_aliases_repeat_only_so_much(tmp_path: Path, content: str) -> None:
    assert refusals(tmp_path, content) == [f"my.yaml: {TOO_LARGE}"]


def test_aliases_may_be_used(tmp_path: Path) -> None:
    document = read(tmp_path, "a: &a [x]\nb: *a\nc: &c {d: 1}\ne: {<<: *c, f: *a}\n")
    assert document.values == {"a": ["x"], "b": ["x"], "c": {"d": 1}, "e": {"d": 1, "f": ["x"]}}


@pytest.mark.usefixtures("few_values")
@pytest.mark.parametrize("name", ["my.yaml", "my.json"])
def test_a_large_file_is_refused(tmp_path: Path, name: str) -> None:
    assert refusals(tmp_path, " " * 1_000_001, name) == [f"{name}: cannot be read: it is larger than 1,000,000 bytes"]
    assert refusals(tmp_path, f'{{"a": [{"0," * 2_000}0]}}', name) == [f"{name}: {TOO_LARGE}"]
    unlike_yaml = f'{{"{"x" * 2000}": [{"0," * 2_001}0]}}'
    assert TOO_LARGE in refusals(tmp_path, unlike_yaml, "my.json")[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_never_ends_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "my.yaml")
    for path in (tmp_path / "my.yaml", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="x: cannot be read: it is not a regular file"):
            read_document(path, "x")


@pytest.mark.parametrize("name", ["my.yaml", "my.json"])
def test_half_of_a_surrogate_pair_is_refused(tmp_path: Path, name: str) -> None:
    half = "contains half of a surrogate pair (\\ud800 to \\udfff alone), which is not a character"
    content = '{"description": "a\\ud800",\n"symbols": ["A", "\\udfff"],\n"\\ud801": 1}'
    assert refusals(tmp_path, content, name)[:2] == [
        f"{name}, line 1, description: {half}",
        f"{name}, line 2, symbols[1]: {half}",
    ]
