"""Plan, collect, coverage, symbols and verify give the same answer for every wanted day of every series."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_archive.model import Market
from tests.archive.results import ROOT
from tests.archive.sample import SampleSpec, days as days_of, of_days, of_months

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.archive.running import Runner
    from tests.archive.sample import SampleObject
    from tests.archive.served import Archive

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
THIS_MONTH = YESTERDAY.replace(day=1)
START = (THIS_MONTH - timedelta(days=1)).replace(day=1)
BEFORE = START - timedelta(days=10)


def days(first: date, last: date) -> list[date]:
    return list(days_of(first, last))


def ago(number: int) -> date:
    return TODAY - timedelta(days=number)


class Life(NamedTuple):
    """The daily objects of a symbol, and the wanted days that the archive lacks, by reason."""

    days: list[date]
    absent: dict[str, list[date]]


LIVES = {
    "BTCUSDT": Life(
        [day for day in days(BEFORE, YESTERDAY) if not ago(20) <= day <= ago(19)], {"hole": days(ago(20), ago(19))}
    ),
    "ETHUSDT": Life(days(BEFORE, ago(3)), {"not-yet": days(ago(2), YESTERDAY)}),
    "XRPUSDT": Life(days(BEFORE, ago(10)), {"late": days(ago(9), ago(3)), "not-yet": days(ago(2), YESTERDAY)}),
    "LUNAUSDT": Life(days(BEFORE, ago(25)), {"delisted": days(ago(24), YESTERDAY)}),
    "ADAUSDT": Life(
        days(START + timedelta(days=4), YESTERDAY), {"before-first": days(START, START + timedelta(days=3))}
    ),
    "SOLUSDT": Life(days(THIS_MONTH, YESTERDAY), {}),  # the days before are in a monthly object alone
}
SELECTED = ("-m", "spot", "-t", "klines", "-i", "1d", *(part for name in LIVES for part in ("-s", name)),
            "--start", str(START), "--end", str(YESTERDAY), "-o", ROOT)  # fmt: skip


def objects() -> Iterator[SampleObject]:
    for symbol, life in LIVES.items():
        yield from of_days(Market.SPOT, "klines", (symbol,), life.days, ("1d",))
    yield from of_months(Market.SPOT, "klines", ("SOLUSDT",), (START,), ("1d",))
    yield from of_days(Market.SPOT, "klines", ("XRPUSDT",), days(ago(12), YESTERDAY), ("1h",))  # it lives


def answers(document: dict[str, Any]) -> dict[str, dict[str, list[date]]]:
    """The absent days of each series that lacks any, by reason."""
    found: dict[str, dict[str, list[date]]] = {}
    for one in document["days"]["series"]:
        absent = found.setdefault(one["symbol"], {})
        for run in one["absent"]:
            absent.setdefault(run["reason"], []).extend(days(*map(date.fromisoformat, (run["first"], run["last"]))))
        assert one["wanted"] == one["available"] + sum(map(len, absent.values()))
    return found


def test_all_give_the_same_answer(run: Runner, own_archive: Callable[[SampleSpec], Archive]) -> None:
    archive = own_archive(SampleSpec.of(objects()))
    here = run.at(archive.endpoint_url)
    expected = {symbol: life.absent for symbol, life in LIVES.items() if life.absent}

    code, stdout, stderr = here("plan", *SELECTED, "--json")
    assert (code, stderr) == (0, "")
    planned = json.loads(stdout)
    assert answers(planned) == expected

    # Most is there, brought by another tool: to fetch all of it would take as long as the rest together.
    shutil.copytree(archive.bucket / "data", run.folder / ROOT / "data", ignore=shutil.ignore_patterns("XRPUSDT"))
    code, stdout, _ = here("collect", *SELECTED, "--json", "-q")
    assert code == 0
    report = json.loads(stdout)
    assert report["outcomes"]["fetched"] == sum(day >= START for day in LIVES["XRPUSDT"].days)
    assert report["days"] == planned["days"]
    wanted = len(LIVES) * len(days(START, YESTERDAY))
    totals = report["days"]
    assert totals["wanted"] == wanted == totals["available"] + sum(totals["absent"].values())

    code, stdout, _ = here("coverage", *SELECTED, "--json")
    assert code == 0
    for one in json.loads(stdout)["series"]:
        absent = expected.get(one["symbol"], {})
        assert one["missing"] == {reason: len(some) for reason, some in absent.items()}, one["symbol"]
        assert (one["to_fetch"], one["unopened"]) == (0, 0)
        assert one["stored"] == one["days"] - sum(one["missing"].values())

    for day in (ago(20), ago(9), YESTERDAY, START):
        code, stdout, _ = here("symbols", "-m", "spot", "-s", "*USDT", "--as-of", str(day), "--json")
        shown = {one["symbol"]: one["answer"] for one in json.loads(stdout)["symbols"]}
        for symbol, life in LIVES.items():
            reason = next((reason for reason, some in life.absent.items() if day in some), None)
            if reason in {"delisted", "before-first"}:
                assert symbol not in shown
            else:
                assert shown[symbol] == (reason or ("daily" if day in life.days else "monthly")), (symbol, day)

    code, stdout, _ = here("verify", *SELECTED, "--discover", "calendar", "--json")
    verified = json.loads(stdout)
    assert (code, verified["bad"]) == (0, [])
    assert Counter(verified["verdicts"])["missing"] == 0

    assert json.loads(here("collect", *SELECTED, "--json", "-q").stdout)["outcomes"]["fetched"] == 0
