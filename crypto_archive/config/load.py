"""Turns presets, environment and options into one run configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from crypto_archive.catalog.symbols import QUOTE_ASSETS
from crypto_archive.config.fields import (
    EVERY,
    FIELDS,
    Options,
    Preset,
    Settings,
    default_values,
    misspelt_variables,
)
from crypto_archive.config.reading import assemble, read_all
from crypto_archive.config.run_config import EVERYTHING, SELECTION, Request, RunConfig
from crypto_archive.errors import nearest_phrase
from crypto_archive.model import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date
    from pathlib import Path
    from typing import Any

    from crypto_archive.config.presets import Found


def load_preset(*presets: str | Path, today: date | None = None, **fields: Any) -> RunConfig:
    """Return what presets and fields ask for, checked; the environment counts as it does for the command.

    Args:
        presets: Names, such as ``research``, or paths; a later one covers the earlier ones field by field. None at all
            is as good, with fields.
        today: The current UTC day; read from the clock when not given.
        fields: Fields of presets, which count before all else: ``markets``, ``symbols``, ``data_types``, ``intervals``,
            ``date_range``, ``output_directory`` and so on; and ``start``, ``end``, ``last``, ``endpoint_url``. A
            configuration of the older workflow is taken as it is: ``load_preset(**config)``.

    Raises:
        ConfigError: All that is wrong, each problem with its place, the allowed values and the nearest of them.

    Example:
        >>> from crypto_archive import load_preset
        >>> wanted = load_preset("backtest", symbols=["BTCUSDT"], intervals={"klines": ["1h"]})
        >>> [str(market) for market in wanted.request.selection.markets]
        ['spot', 'futures_um']
        >>> load_preset("reserch")
        Traceback (most recent call last):
        ...
        crypto_archive.errors.ConfigError: presets: unknown preset 'reserch'; did you mean 'research'? (allowed: ...)
    """
    return load_request([str(preset) for preset in presets], fields, today=today or datetime.now(UTC).date())


NOTICES_OF_A_KIND = 20
"""How many words of a long list are told one by one."""


def load_request(
    presets: Sequence[str],
    options: Mapping[str, object],
    *,
    today: date,
    named: Callable[[str], str] = str,
    standard_input: bool = False,
) -> RunConfig:
    """Return the request that presets, environment and options make together.

    A value counts from the option if it is given, else from the environment or ``.env``, else from the last preset
    that has it, else from the defaults. Fields are taken whole, except that ``start``, ``end`` and ``last`` of the
    options change a preset's ``date_range``.

    Args:
        presets: Names or paths; a later one covers the earlier ones field by field.
        options: Values of the caller's by the names of preset fields, and ``start``, ``end``, ``last``,
            ``endpoint_url``, ``region``, ``bucket``, ``s5cmd``, ``stall_seconds``. None and empty lists are options
            that were not given.
        today: The current day, UTC.
        named: Says what the caller calls an option, and ``presets``, for the messages.
        standard_input: Whether the symbol ``-`` stands for a list on standard input.

    Raises:
        ConfigError: All that is wrong with the presets, the environment, the options and the matrix file.
    """
    read = read_all(presets, options, today=today, named=named, standard_input=standard_input)
    request = assemble(read.values, read.matrix, read.dates)
    notices = (
        *_shadow_notices(read.found),
        *misspelt_variables(),
        *_selection_notices(read.values),
        *_case_notices(request),
        *_quote_notices(request),
    )
    return RunConfig(request, read.matrix, tuple(presets), notices, read.origins)


def _shadow_notices(found: Iterable[Found]) -> Iterable[Notice]:
    for preset in found:
        if preset.hides:
            yield Notice(f"preset {preset.path.stem!r} is your own, {preset.path}; it hides the bundled one")


def _selection_notices(values: Mapping[str, object]) -> Iterable[Notice]:
    if not any(field in values for field in SELECTION):
        yield EVERYTHING


def _case_notices(request: Request) -> Iterable[Notice]:
    """Yield a notice for each symbol in small letters, since keys tell them apart from capital ones."""
    words = dict.fromkeys(word for symbols in request.selection.symbols.values() for word in symbols)
    small = [word for word in words if word != word.upper()]
    for word in small[:NOTICES_OF_A_KIND]:
        yield Notice(f"symbol {word!r} has small letters and the archive's have none; did you mean {word.upper()!r}?")
    if more := small[NOTICES_OF_A_KIND:]:
        yield Notice(f"{len(more)} more symbols have small letters and the archive's have none")


def _quote_notices(request: Request) -> Iterable[Notice]:
    """Yield a notice for each quote asset that is not known and looks like one that is; it may be a new one."""
    for word in request.selection.filters.quotes:
        if word not in QUOTE_ASSETS and (near := nearest_phrase(word, sorted(QUOTE_ASSETS))):
            yield Notice(f"quote asset {word!r} is not among those that are known{near}")


DEFAULT = "default"
"""The origin of what nobody has said."""


_NO_VALUE = {"s5cmd": "the one of the package, else one on the search path"}


@dataclass(frozen=True, slots=True)
class EffectiveField:
    """A field of presets, or a setting, and what counts for it.

    Attributes:
        name: Its name.
        value: Its value, as JSON has it; None where there is none.
        origin: Where it came from: a file with its line, a variable, or ``default``.
        meaning: What it means that there is no value; empty where there is one.
    """

    name: str
    value: object
    origin: str
    meaning: str = ""

    @property
    def is_default(self) -> bool:
        """Whether nobody has said anything."""
        return self.origin == DEFAULT


def effective_fields(
    presets: Sequence[str], *, today: date, named: Callable[[str], str] = str
) -> tuple[EffectiveField, ...]:
    """Return all fields of presets, then the settings that are no such fields, with the values that count.

    Args:
        presets: Names or paths; a later one covers the earlier ones field by field.
        today: The current day, UTC.
        named: Says what the caller calls ``presets``, for the messages.

    Raises:
        ConfigError: All that is wrong with them, the environment or the matrix file.
    """
    read = read_all(presets, {}, today=today, named=named)
    defaults = default_values()
    settings = [name for name in {**Options.model_fields, **Settings.model_fields} if name not in Preset.model_fields]
    return tuple(
        _field(name, read.values, read.origins, defaults)
        for name in (*Preset.model_fields, *(name for name in settings if name != "preset_dir"))
    )


def effective_document(presets: Sequence[str], fields: Sequence[EffectiveField]) -> dict[str, object]:
    """Return fields as a JSON document.

    Args:
        presets: The presets, as they were asked for.
        fields: What ``effective_fields`` returned for them.
    """
    return {
        "schema_version": 1,
        "presets": list(presets),
        "fields": {field.name: {"value": field.value, "from": field.origin} for field in fields},
    }


def _field(
    name: str, values: Mapping[str, object], origins: Mapping[str, str], defaults: Mapping[str, object]
) -> EffectiveField:
    if name in values:
        return EffectiveField(name, _plain_value(values[name]), origins[name].removesuffix(f", {name}"))
    if name in defaults:
        return EffectiveField(name, defaults[name], DEFAULT)
    return EffectiveField(name, None, DEFAULT, FIELDS[name].absent if name in FIELDS else _NO_VALUE.get(name, "none"))


def _plain_value(value: object) -> object:
    """Return a value as JSON has it; what was given for everything alike is a list again."""
    match value:
        case dict() if set(value) == {EVERY}:
            return value[EVERY]
        case Enum():
            return value.value
        case PurePath():
            return str(value)
    return value
