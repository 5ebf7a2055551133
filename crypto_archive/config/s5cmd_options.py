"""Which of s5cmd's global options a preset may set (``s5cmd_extra_args``), and in which form they are handed on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# As `s5cmd --help` of version 2.3.0 lists them.
_FLAGS = ("--no-sign-request", "--no-verify-ssl", "--use-list-objects-v1")
_TEXTS = ("--credentials-file", "--profile", "--request-payer")
_LEAST = {"--numworkers": 1, "--retry-count": 0}
_ALLOWED = tuple(sorted((*_FLAGS, *_TEXTS, *_LEAST)))
_LONG = {"-r": "--retry-count", "-h": "--help", "-p": "--part-size"}
_SIGNING = ("--profile", "--credentials-file")

_WATCHED = "crypto-archive sets it itself, to follow what s5cmd does"
_INSTEAD = {
    "--dry-run": "use 'crypto-archive collect --dry-run' instead",
    "--endpoint-url": "use the option --endpoint-url or the variable CRYPTO_ARCHIVE_ENDPOINT_URL instead",
    "--help": "it fetches nothing",
    "--install-completion": "it fetches nothing",
    "--json": _WATCHED,
    "--log": _WATCHED,
    "--part-size": "use the field part_size_mb instead",
    "--stat": _WATCHED,
    "--version": "it fetches nothing",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an argument cannot be handed to s5cmd.

    Attributes:
        index: Its position in the list.
        message: What is wrong with it.
        allowed: The options that would do, where the option is unknown.
        nearest: The one of them that looks most like it.
    """

    index: int
    message: str
    allowed: tuple[str, ...] = ()
    nearest: str | None = None


def read_arguments(arguments: Sequence[str]) -> tuple[tuple[str, ...], tuple[Refusal, ...]]:
    """Return the arguments in one form, ``--option`` or ``--option=value``, and what is wrong with the others.

    Taken are ``--retry-count=5``, ``--retry-count 5``, ``-r 5``, and a value as an argument of its own. An option
    that comes twice counts as it stands last.
    """
    accepted: dict[str, str] = {}
    positions: dict[str, int] = {}
    refusals: list[Refusal] = []
    for index, name, value in _options(arguments):
        refusal = _refusal(index, name, value)
        if refusal is None:
            accepted[name] = name if value is None else f"{name}={value}"
            positions[name] = index
        else:
            refusals.append(refusal)
    if "--no-sign-request" in accepted and (signing := [name for name in _SIGNING if name in accepted]):
        message = f"{signing[0]} and --no-sign-request contradict each other; keep one of them"
        refusals.append(Refusal(positions[signing[0]], message))
    return tuple(accepted.values()), tuple(refusals)


def _options(arguments: Sequence[str]) -> Iterator[tuple[int, str, str | None]]:
    """Yield position, long name and value of each option, however it is written."""
    waiting = list(enumerate(arguments))
    while waiting:
        index, argument = waiting.pop(0)
        name, value = _split(argument.strip())
        wants_value = name in _TEXTS or name in _LEAST
        if wants_value and value is None and waiting and not waiting[0][1].startswith("-"):
            value = waiting.pop(0)[1].strip()
        yield index, name, value


def _split(argument: str) -> tuple[str, str | None]:
    """Split ``--name=value`` and ``--name value``."""
    for separator in ("=", " "):
        name, found, value = argument.partition(separator)
        if found and " " not in name:
            return _LONG.get(name, name), value.strip()
    return _LONG.get(argument, argument), None


def _refusal(index: int, name: str, value: str | None) -> Refusal | None:
    if name in _INSTEAD:
        return Refusal(index, f"{name} cannot be set here; {_INSTEAD[name]}")
    if name not in _ALLOWED:
        message = f"unknown option {name!r} of s5cmd" if name.startswith("-") else f"{name!r} is no option of s5cmd"
        return Refusal(index, message, _ALLOWED, nearest(name, _ALLOWED))
    if name in _FLAGS:
        return None if value is None else Refusal(index, f"{name} takes no value")
    if not value:
        return Refusal(index, f"{name} needs a value, such as {name}={5 if name in _LEAST else 'NAME'}")
    if name in _LEAST and not _is_count(value, _LEAST[name]):
        return Refusal(index, f"{name} needs a whole number of at least {_LEAST[name]}, not {value!r}")
    return None


def _is_count(text: str, least: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7 and int(text) >= least
