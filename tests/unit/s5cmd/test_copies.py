"""Copy commands: whatever else the bucket holds, they copy the wanted keys, each once, and nothing else."""

from __future__ import annotations

import re
import shlex
from calendar import monthrange
from itertools import chain, pairwise, product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies as st

from crypto_archive.s5cmd.copies import MOST_EXCLUDES, CopyCommand, copy_by_name, copy_commands
from crypto_archive.s5cmd.runfile import Parts

if TYPE_CHECKING:
    from collections.abc import Iterable

BUCKET = "data.binance.vision"
ZIP, SIDECAR = ".zip", ".zip.CHECKSUM"

# A bucket, with what stands next to the wanted keys


HEADS = (
    "data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-",
    "data/spot/monthly/klines/BTCUSDT/1mo/BTCUSDT-1mo-",
    "data/futures/cm/daily/klines/BTCUSD_240628/1h/BTCUSD_240628-1h-",
    "data/spot/daily/trades/币安人生USDT/币安人生USDT-trades-",
    "data/odd/q'uo\"te $(x) `y` \\ {a,b} [1] #/--include ~-",
    "x/",
)
ODD_KEYS = (
    "BTCUSDT-1h-2024-07-16.zip",  # in no folder
    "data/x/BTCUSDT-1h-2024-7-16.zip",
    "data/x/BTCUSDT-1h-2024-07-6.zip",
    "data/x/BTCUSDT-1h-2024-7.zip",
    "data/x/BTCUSDT-1h-2024-02-30.zip",
    "data/x/BTCUSDT-1h-2024-13-01.zip",
    "data/x/BTCUSDT-1h-2024-13.zip",
    "data/x/BTCUSDT-1h-2024-00.zip",
    "data/x/BTCUSDT-1h-0000-07-16.zip",
    "data/x/BTCUSDT-1h-2024-07-16.zip.CHECKSUM.CHECKSUM",
    "data/x/BTCUSDT-1h-２０２４-07-16.zip",
    "data/x/BTC*-1h-2024-07-16.zip",
    "data/x/BTC????-1h-2024-07-16.zip",
    "data/*/BTCUSDT-1h-2024-07-16.zip",
    "data/x/no date.zip",
    "data/x/index.html",
)
NEXT_TO_A_KEY = ("", ".bak", ".old", ".zip.part")
NEXT_TO_A_HEAD = ("", "x-", "2024-07-16-")


def days_of(month: str) -> list[str]:
    year, number = map(int, month.split("-"))
    return [f"{month}-{day:02}" for day in range(1, monthrange(year, number)[1] + 1)]


def months_of(years: Iterable[int]) -> list[str]:
    return [f"{year}-{month:02}" for year, month in product(years, range(1, 13))]


def bucket_around(wanted: Iterable[str]) -> set[str]:
    """The wanted keys, all other dates of their series, and what somebody has left next to all of them."""
    wanted = set(wanted)
    found = {*wanted, *ODD_KEYS}
    for head, date in {(key[: match.start()], match[0]) for key in wanted if (match := DATE.search(key))}:
        decade = int(date[:3]) * 10
        months = months_of(range(decade - 1, decade + 11))
        dates = chain(months, days_of(date[:7])) if len(date) == 10 else months
        for other, more, tail, rest in product(dates, NEXT_TO_A_HEAD, (ZIP, SIDECAR), NEXT_TO_A_KEY):
            found.add(f"{head}{more}{other}{tail}{rest}")
    return found


DATE = re.compile(r"\d{4}-(0[1-9]|1[0-2])(-\d\d)?(?=\.zip)", re.ASCII)


# What s5cmd copies, as it documents it and as tests/process/test_s5cmd_real.py sees it


def copied_by(command: CopyCommand, bucket: Iterable[str]) -> set[str]:
    name, *flags, source, target = shlex.split(command.line)
    assert name == "cp"
    assert command.shown == f"cp {source} {target}"
    wanted = source.removeprefix(f"s3://{BUCKET}/")
    if "--raw" in flags:
        assert target == wanted
        return {wanted} & set(bucket)
    folder = re.split("[*?]", wanted)[0].rpartition("/")[0] + "/"
    assert target == folder  # so that each object arrives at the path of its own key
    matches, excluded = as_pattern(wanted), of_flag(flags, "--exclude")
    included = of_flag(flags, "--include") or [as_pattern("*")]
    found = [key for key in bucket if matches.fullmatch(key)]
    # Compared with the whole key, as a rule: what precedes the first sign of the pattern is taken for a folder.
    names = {key: key.removeprefix(re.split("[*?]", wanted)[0] + "/") for key in found}
    return {
        key
        for key, name in names.items()
        if not any(pattern.fullmatch(name) for pattern in excluded)
        and any(pattern.fullmatch(name) for pattern in included)
    }


def of_flag(flags: list[str], name: str) -> list[re.Pattern[str]]:
    return [as_pattern(value) for flag, value in pairwise(flags) if flag == name]


def as_pattern(glob: str) -> re.Pattern[str]:
    return re.compile(re.escape(glob).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def commands_for(keys: Iterable[str]) -> list[CopyCommand]:
    return list(copy_commands(BUCKET, keys))


TAILS = st.sampled_from([(ZIP, SIDECAR), (ZIP,), (SIDECAR,)])
SPANS = [days_of("2024-02"), days_of("2023-02"), days_of("2024-07"), months_of(range(2018, 2022))]


@st.composite
def series(draw: st.DrawFn) -> list[str]:
    """Keys of one series: few, many or all dates of a month or of some years, with or without sidecars."""
    head, span = draw(st.sampled_from(HEADS)), draw(st.sampled_from(SPANS))
    picked = draw(st.integers(1, 2 ** len(span) - 1) | st.just(2 ** len(span) - 1))
    usual, alone, number = draw(TAILS), draw(TAILS), draw(st.integers(0, len(span)))
    return [
        head + date + tail
        for place, date in enumerate(span)
        if picked >> place & 1
        for tail in (alone if place == number else usual)
    ]


WANTED = st.lists(series(), max_size=2).map(lambda some: list(dict.fromkeys(chain.from_iterable(some))))


@settings(max_examples=30)
@given(keys=WANTED, odd=st.lists(st.sampled_from(ODD_KEYS), max_size=3, unique=True))
def test_commands_copy_exactly_the_wanted_keys(keys: list[str], odd: list[str]) -> None:
    commands = commands_for(keys + odd)
    bucket = bucket_around(keys + odd)
    for command in commands:
        assert copied_by(command, bucket) == set(command.keys)
        assert "\n" not in command.line
    copied = [key for command in commands for key in command.keys]
    assert sorted(copied) == sorted(keys + odd)
    assert len(commands) <= len({key.removesuffix(".CHECKSUM") for key in keys}) + len(odd)
    assert max((command.line.count("--exclude ") for command in commands), default=0) <= MOST_EXCLUDES


@given(keys=WANTED)
def test_a_command_is_by_pattern_where_one_copies_several_keys(keys: list[str]) -> None:
    for command in commands_for(keys):
        assert command.by_pattern == (len(command.keys) > 1)
        assert command.by_pattern or command == copy_by_name(BUCKET, command.keys[0])


@pytest.mark.parametrize("dates", [days_of("2024-02"), days_of("2024-07"), months_of(range(2010, 2020))], ids=len)
@pytest.mark.parametrize("tails", [(ZIP, SIDECAR), (ZIP,), (SIDECAR,)], ids=" and ".join)
def test_a_whole_month_or_decade_is_one_command_without_exceptions(dates: list[str], tails: tuple[str, ...]) -> None:
    [command] = commands_for(HEADS[0] + date + tail for date in dates for tail in tails)
    assert "--exclude" not in command.line


def test_days_are_excluded_by_tens_where_that_is_possible() -> None:
    """The line that a person finds in a run-file."""
    missing = {"2024-07-17", *days_of("2024-07")[19:]}
    wanted = [date for date in days_of("2024-07") if date not in missing]
    [command] = commands_for(HEADS[0] + date + tail for date in wanted for tail in (ZIP, SIDECAR))
    assert command.line == (
        f"cp --include '{HEADS[0]}2024-07-??.zip' --include '{HEADS[0]}2024-07-??.zip.CHECKSUM' "
        "--exclude '*2024-07-17.zip*' --exclude '*2024-07-2?.zip*' --exclude '*2024-07-3?.zip*' "
        f"'s3://{BUCKET}/{HEADS[0]}2024-07-??.zip*' data/spot/daily/klines/BTCUSDT/1h/"
    )


def test_one_object_with_its_sidecar_is_one_command() -> None:
    [command] = commands_for([f"{HEADS[0]}2024-07-16{tail}" for tail in (ZIP, SIDECAR)])
    assert shlex.split(command.line)[-2] == f"s3://{BUCKET}/{HEADS[0]}2024-07-16.zip*"
    assert "--exclude" not in command.line


@pytest.mark.parametrize("key", [HEADS[0] + "2024-07-16.zip", HEADS[0] + "2024-07-16.zip.CHECKSUM", *ODD_KEYS])
def test_a_single_key_is_copied_by_its_name(key: str) -> None:
    assert commands_for([key]) == [copy_by_name(BUCKET, key)]


def test_months_far_apart_have_a_command_for_each_year() -> None:
    """Every other month of a decade would need sixty exclusions."""
    every_other = [f"{HEADS[1]}{month}.zip" for month in months_of(range(2010, 2020))[::2]]
    commands = commands_for(every_other)
    assert len(commands) == 10
    assert {command.line.count("--exclude ") for command in commands} == {6}


def test_the_only_month_of_a_year_is_copied_by_its_name() -> None:
    alone = f"{HEADS[1]}2019-12.zip"
    far_apart = [f"{HEADS[1]}{month}.zip" for month in months_of(range(2010, 2019))[::2]]
    assert copy_by_name(BUCKET, alone) in commands_for([*far_apart, alone])


def test_two_months_of_one_decade_share_a_command_where_few_are_excluded() -> None:
    [command] = commands_for(f"{HEADS[1]}{month}.zip" for month in ("2017-08", "2017-09"))
    assert command.line.count("--exclude ") == 9 + 10  # whole years, and the other months of one


@pytest.mark.parametrize(
    "keys", [[HEADS[0] + "2024-07-16.zip"], [HEADS[0] + date + ZIP for date in days_of("2024-07")]]
)
def test_every_command_says_how_large_objects_are_cut(keys: list[str]) -> None:
    [command] = copy_commands(BUCKET, keys, Parts(size_mb=10, at_once=8))
    words = shlex.split(command.line)
    assert [words[words.index(flag) + 1] for flag in ("--part-size", "--concurrency")] == ["10", "8"]
    [usual] = commands_for(keys)
    assert "--part-size" not in usual.line
    assert usual.shown == command.shown


OUTSIDE = ["/etc/x-", "../x-", "data/../../x-", "s3://another/x-", "data/new\nline-"]


@pytest.mark.parametrize("head", OUTSIDE)
@pytest.mark.parametrize("tails", [(ZIP,), (ZIP, SIDECAR)], ids=len)
def test_no_pattern_leads_where_no_name_may(head: str, tails: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"cannot be written to a run-file|is not a relative path"):
        commands_for(head + date + tail for date in days_of("2024-07") for tail in tails)
