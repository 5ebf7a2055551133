"""``s5cmd_extra_args``: which options are handed on, in one form, and what is said of the others."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from crypto_archive.config.values import read_arguments

ALLOWED = (
    "--credentials-file",
    "--no-sign-request",
    "--no-verify-ssl",
    "--numworkers",
    "--profile",
    "--request-payer",
    "--retry-count",
    "--use-list-objects-v1",
)


@pytest.mark.parametrize(
    ("arguments", "handed_on"),
    [
        ([], ()),
        (
            ["--no-sign-request", "--retry-count=3", "--numworkers=8"],
            ("--no-sign-request", "--retry-count=3", "--numworkers=8"),
        ),
        (["--retry-count", "5"], ("--retry-count=5",)),
        (["--retry-count 5"], ("--retry-count=5",)),
        (["-r", "5"], ("--retry-count=5",)),
        (["-r 5"], ("--retry-count=5",)),
        (["-r=5", "--no-verify-ssl"], ("--retry-count=5", "--no-verify-ssl")),
        (["--retry-count=5", "--retry-count=7"], ("--retry-count=7",)),
        (["--credentials-file=/my keys/file"], ("--credentials-file=/my keys/file",)),
        (["--profile", "archive"], ("--profile=archive",)),
    ],
)
def test_forms_that_are_taken(arguments: list[str], handed_on: tuple[str, ...]) -> None:
    assert read_arguments(arguments) == (handed_on, ())


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--json", "--json cannot be set here; crypto-archive sets it itself, to follow s5cmd's progress"),
        ("--log=debug", "--log cannot be set here; crypto-archive sets it itself, to follow s5cmd's progress"),
        ("--dry-run", "--dry-run cannot be set here; use 'crypto-archive collect --dry-run' instead"),
        ("-h", "--help cannot be set here; it downloads nothing"),
        (
            "--endpoint-url=http://x",
            (
                "--endpoint-url cannot be set here; "
                "use the option --endpoint-url or the variable CRYPTO_ARCHIVE_ENDPOINT_URL instead"
            ),
        ),
        ("--part-size=5", "--part-size cannot be set here; use the field part_size_mb instead"),
        ("--no-sign-request=yes", "--no-sign-request takes no value"),
        ("--retry-count", "--retry-count needs a value, such as --retry-count=5"),
        ("--profile=", "--profile needs a value, such as --profile=NAME"),
        ("--retry-count=many", "--retry-count needs a whole number of at least 0, not 'many'"),
        ("--numworkers=0", "--numworkers needs a whole number of at least 1, not '0'"),
    ],
)
def test_options_that_are_refused(argument: str, message: str) -> None:
    handed_on, refusals = read_arguments(["--no-verify-ssl", argument])
    assert handed_on == ("--no-verify-ssl",)
    assert [(refusal.index, refusal.message) for refusal in refusals] == [(1, message)]


def test_a_misspelt_option_names_the_nearest() -> None:
    (refusal,) = read_arguments(["--retry-cuont=5"])[1]
    assert refusal.message == "unknown option '--retry-cuont' of s5cmd"
    assert refusal.nearest == "--retry-count"
    assert refusal.allowed == ALLOWED


def test_commands_are_no_options() -> None:
    (refusal,) = read_arguments(["cp"])[1]
    assert refusal.message == "'cp' is not an option of s5cmd"


def test_all_refusals_are_given_at_once() -> None:
    assert [refusal.index for refusal in read_arguments(["--json", "-r", "x", "--numworkers"])[1]] == [0, 1, 3]


def test_signing_and_not_signing_contradict_each_other() -> None:
    (refusal,) = read_arguments(["--no-sign-request", "--profile=me"])[1]
    assert refusal.message == "--profile and --no-sign-request contradict each other; keep one of them"
    assert refusal.index == 1


@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from([*ALLOWED, "-r", "5", "--json", "x"]))))
def test_what_is_handed_on_is_taken_again_as_it_is(arguments: list[str]) -> None:
    handed_on, refusals = read_arguments(arguments)
    if not refusals:
        assert read_arguments(handed_on) == (handed_on, ())
