"""Which symbols a group of series is made of: names, globs (``'*USDT'``), exclusions (``'!*DOWNUSDT'``) and filters."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from itertools import islice
from typing import TYPE_CHECKING

from crypto_archive.errors import EndpointUnreachable, nearest_told
from crypto_archive.keys import is_symbol
from crypto_archive.model import Notice, Topic
from crypto_archive.symbols import contract_of, is_glob, is_settled, quote_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from crypto_archive.model import Market, Say
    from crypto_archive.planning.selection import SeriesGroup
    from crypto_archive.request import SymbolFilter

Folders = Callable[[], tuple[str, ...]]
"""Lists the folders that the archive has for the symbols of a group, in all partitions that count."""

MOST_NAMED = 20
"""How many symbols that the archive does not have are named one by one."""
_PATTERNS_SHOWN = 5


def passes(market: Market, symbol: str, filters: SymbolFilter) -> bool:
    """Whether a symbol counts under the filters; it has the form that it has in the keys."""
    if filters.settled is not None and is_settled(symbol) is not filters.settled:
        return False
    if filters.contract is not None and contract_of(market, symbol) not in {None, filters.contract}:
        return False
    return not filters.quotes or quote_of(market, symbol, filters.quotes) in filters.quotes


def matching(
    patterns: Sequence[str], known: Iterable[str], counts: Callable[[str], bool] = lambda _: True
) -> tuple[str, ...]:
    """Return the symbols that the patterns choose, plain names first, each once.

    A plain name is taken as it is, known or not. A pattern that starts with ``!`` takes symbols away; when there is
    nothing else, it takes them away from all that are known.

    Args:
        patterns: Names and globs.
        known: The symbols that globs are matched against.
        counts: Whether a symbol counts at all, named or found.
    """
    excluded = _matcher(pattern[1:] for pattern in patterns if pattern.startswith("!"))
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    names = [pattern for pattern in wanted if not is_glob(pattern)]
    globs = _matcher(pattern for pattern in wanted if is_glob(pattern))
    chosen = dict.fromkeys([*names, *filter(globs, known)])
    return tuple(symbol for symbol in chosen if not excluded(symbol) and counts(symbol))


def resolve(group: SeriesGroup, list_folders: Folders, say: Say) -> tuple[str, ...]:
    """Return the symbols of a group, its globs matched against the folders that the archive has.

    Args:
        group: The series.
        list_folders: Lists the folders of the archive; asked only when there are globs.
        say: Takes a notice when folders cannot be symbols, and when no symbol is left.

    Raises:
        EndpointUnreachable: The listing failed.
    """
    folders: tuple[str, ...] = ()
    if any(is_glob(pattern) for pattern in group.symbols):
        folders = list_folders()
        if unfit := [name for name in folders if not can_be_listed(name)]:
            names = ", ".join(repr(name[:40]) for name in unfit[:3])
            what = f"{len(unfit)} folders of the archive are left out, no symbol can be named {names}"
            say(Notice(f"{group.label}: {what}"))
    symbols = _chosen(group, filter(can_be_listed, folders))
    if group.symbols and not symbols:
        say(Notice(f"{group.label}: no symbol of the archive matches {_asked(group)}, 0 objects", Topic.NO_MATCH))
    return symbols


def resolve_offline(group: SeriesGroup, known: Iterable[str], say: Say) -> tuple[str, ...]:
    """Return the symbols of a group, its globs matched against symbols that are known without asking the archive.

    Args:
        group: The series.
        known: The symbols, in the form that they have in the keys.
        say: Takes a notice when filters leave no symbol.
    """
    symbols = _chosen(group, known)
    if group.symbols and not symbols and not any(map(is_glob, group.symbols)):
        say(Notice(f"{group.label}: none of the symbols passes the filters ({group.filters}), 0 objects"))
    return symbols


def folders_beside(group: SeriesGroup, quiet: Collection[str], list_folders: Folders) -> tuple[str, ...]:
    """Return the folders that the archive has beside those of the symbols that it has no object of.

    Args:
        group: The series.
        quiet: The symbols without any object; nothing is asked, and nothing returned, where nobody named one of them.
        list_folders: Lists the folders of the archive. It may fail: the plan is whole without the answer.
    """
    if not any(pattern in quiet for pattern in group.symbols):
        return ()
    try:
        return list_folders()
    except EndpointUnreachable:
        return ()


def unknown(symbols: Iterable[str], folders: Collection[str], label: str) -> Iterator[Notice]:
    """Yield a notice for each symbol that has no folder, with the nearest that have one.

    Args:
        symbols: Symbols that somebody named.
        folders: All that the archive has there.
        label: Where that is, for people.
    """
    real = list(filter(can_be_listed, folders))
    strange = iter(sorted(set(symbols).difference(real)))
    for symbol in islice(strange, MOST_NAMED):
        yield Notice(f"{label}: the archive has no symbol {symbol!r} there{nearest_told(symbol, real)}")
    if rest := sum(1 for _ in strange):
        yield Notice(f"{label}: the archive has no such symbol there for {rest} more of those that were named")


def can_be_listed(name: str) -> bool:
    """Whether a folder's name can be a symbol, and s5cmd can list what is below it: it cannot take signs of globs."""
    return is_symbol(name) and not set("*?") & set(name)


def _chosen(group: SeriesGroup, known: Iterable[str]) -> tuple[str, ...]:
    if not group.symbols:
        return ()
    return matching(group.symbols, known, lambda symbol: passes(group.row.market, symbol, group.filters))


def _asked(group: SeriesGroup) -> str:
    """Return the patterns and filters of a group as people read them, shortened where there are many."""
    patterns = ", ".join(group.symbols[:_PATTERNS_SHOWN])
    more = f" and {len(group.symbols) - _PATTERNS_SHOWN} more" if len(group.symbols) > _PATTERNS_SHOWN else ""
    return patterns + more + (f" ({group.filters})" if group.filters else "")


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return a function that says whether any of the patterns matches; a list may hold thousands of them."""
    plain: set[str] = set()
    globs: set[str] = set()
    for pattern in patterns:
        (globs if any(sign in pattern for sign in "*?[") else plain).add(pattern)
    if not globs:
        return plain.__contains__
    expression = re.compile("|".join(map(translate, sorted(globs))))
    return lambda symbol: symbol in plain or expression.match(symbol) is not None
