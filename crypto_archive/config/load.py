"""Loads presets, environment and options as one run configuration: find, read, check, merge, build."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_archive.catalog.document import read_document
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.catalog.symbols import QUOTE_ASSETS
from crypto_archive.config.fields import ALL, EVERY, FIELDS, SELECTION, Source, unknown_variables
from crypto_archive.config.layers import (
    Layer,
    date_problems,
    environment_layer,
    layer_problems,
    merged,
    options_layer,
    preset_layer,
)
from crypto_archive.config.preset_files import preset_folder
from crypto_archive.config.presets import find_preset, preset_names, user_folder
from crypto_archive.config.run_config import (
    EVERYTHING,
    Access,
    Budget,
    Fetching,
    Request,
    RunConfig,
    Selection,
    SymbolFilter,
    Via,
)
from crypto_archive.config.values import A_PLACE_OF_THIS_MACHINE, destination_fault, read_arguments, resolve
from crypto_archive.config.vocabulary import rows_named
from crypto_archive.errors import ConfigError, Problem, nearest_phrase
from crypto_archive.files import expanded
from crypto_archive.model import Market, Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.presets import Found
    from crypto_archive.model import DateRange


def load_preset(*presets: str | Path, today: date | None = None, **fields: Any) -> RunConfig:
    """Return the run configuration of presets and fields, checked; the environment counts as it does for the command.

    Args:
        presets: Names, such as ``research``, or paths; a later preset replaces the fields of earlier ones. May be
            empty where fields are given.
        today: The current UTC day; read from the clock when not given.
        fields: Fields of presets, which override everything else: ``markets``, ``symbols``, ``data_types``,
            ``intervals``, ``date_range``, ``output_directory`` and so on; and ``start``, ``end``, ``last``,
            ``endpoint_url``. Lists may be text: ``symbols="BTCUSDT,ETHUSDT"``. A configuration of the older workflow
            works as it is: ``load_preset(**config)``.

    Raises:
        ConfigError: All problems, each with its place, the allowed values and the nearest of them.

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
    return load_run_config([str(preset) for preset in presets], fields, today=today or datetime.now(UTC).date())


def load_run_config(
    presets: Sequence[str],
    options: Mapping[str, object],
    *,
    today: date,
    named: Callable[[str], str] = str,
    standard_input: bool = False,
) -> RunConfig:
    """Return the run configuration of presets, environment and options.

    An option overrides the environment, which overrides ``.env``, which overrides the presets; of those the last one
    that has the field wins. Fields are replaced whole, except that ``start``, ``end`` and ``last`` of the options
    change a preset's ``date_range``.

    Args:
        presets: Names or paths.
        options: Values by field, and ``start``, ``end``, ``last``; None and empty lists count as not given.
        today: The current UTC day.
        named: Returns what the caller calls an option, and ``presets``, for the messages.
        standard_input: Whether the symbol ``-`` stands for a list on standard input.

    Raises:
        ConfigError: All problems of the presets, the environment, the options and the matrix file.
    """
    presets = preset_names(presets)
    read = _read(presets, options, named, standard_input=standard_input)
    dates = _resolved_dates(read.values, read.origins, today)
    request = _build(read.values, read.matrix, dates)
    if request.access.via is Via.CDN and (fault := request.access.cdn_fault):
        raise ConfigError([Problem(read.origins["via"], fault)])
    selects = any(name in read.values for name in SELECTION)
    notices = (
        *(Notice(f"your own preset {one.path} replaces the bundled preset {one.path.stem!r}")
          for one in read.found if one.hides),
        *unknown_variables(),
        *(() if selects else (EVERYTHING,)),
        *_quote_notices(request),
    )  # fmt: skip
    return RunConfig(request, read.matrix, tuple(presets), notices, read.origins, selects, read.bundled)


def preset_problems(preset: str, *, today: date, place: str = "presets") -> tuple[Problem, ...]:
    """Return all problems of one preset by itself: no environment, no options, no other preset.

    Raises:
        ConfigError: ``.env``, which may name the folder of presets, cannot be read.
    """
    errors: list[ConfigError] = []
    layers = _preset_layers(_find([preset], user_folder(), place, errors), errors)
    matrix = _matrix_of(layers, errors)
    problems = [problem for error in errors for problem in error.problems]
    for layer in layers:
        problems += layer_problems(layer, matrix)
        problems += date_problems(layer, today)
    return tuple(dict.fromkeys(problems))


def checks_document(found: Iterable[tuple[str, Sequence[Problem]]]) -> dict[str, object]:
    """Return what ``preset_problems`` returned for each of some presets as a JSON document."""
    return {
        "schema_version": 1,
        "presets": [{"preset": preset, "problems": [one._asdict() for one in problems]} for preset, problems in found],
    }


# Find, read, check, merge


class _Read(NamedTuple):
    """What presets, environment and options say together, free of problems."""

    found: Sequence[Found]
    matrix: Matrix
    values: Mapping[str, Any]
    origins: Mapping[str, str]
    bundled: frozenset[str]


def _read(
    presets: Iterable[str], options: Mapping[str, object], named: Callable[[str], str], *, standard_input: bool = False
) -> _Read:
    errors: list[ConfigError] = []
    environment = Layer({})
    with _collected(errors):
        environment = environment_layer()
    folder = preset_folder(_path_text(environment.raw.get("preset_dir")))
    found = _find(presets, folder, named("presets"), errors)
    given = options_layer(options, named, standard_input=standard_input)
    layers = [*_preset_layers(found, errors), environment, given]
    matrix = _matrix_of(layers, errors)
    problems = [problem for error in errors for problem in error.problems]
    for layer in layers:
        problems += layer_problems(layer, matrix)
    if problems or matrix is None:
        hints = dict.fromkeys(error.hint for error in errors if error.hint)
        roots = (layer.raw.get("output_directory") for layer in layers)
        if any(root is not None and destination_fault(root) for root in roots):
            hints[A_PLACE_OF_THIS_MACHINE] = None
        raise ConfigError(dict.fromkeys(problems), hint="\n".join(hints))
    return _Read(found, matrix, *merged(layers))


@contextmanager
def _collected(errors: list[ConfigError]) -> Iterator[None]:
    """Keep an error for later, so that a person learns about all of them at once."""
    try:
        yield
    except ConfigError as error:
        errors.append(error)


def _find(presets: Iterable[str], folder: Path, place: str, errors: list[ConfigError]) -> list[Found]:
    found = []
    for preset in presets:
        with _collected(errors):
            found.append(find_preset(preset, folder, place))
    return found


def _preset_layers(found: Iterable[Found], errors: list[ConfigError]) -> list[Layer]:
    layers = []
    for one in found:
        with _collected(errors):
            layers.append(preset_layer(read_document(one.path, one.label), bundled=one.bundled))
    return layers


def _matrix_of(layers: Sequence[Layer], errors: list[ConfigError]) -> Matrix | None:
    """Return the matrix that the last layer with one names, the bundled one by default, None if it cannot be loaded."""
    naming = next((layer for layer in reversed(layers) if _path_text(layer.raw.get("matrix_path"))), None)
    if naming is None:
        return load_matrix()
    place = naming.place(("matrix_path",))
    try:
        return load_matrix(_matrix_source(naming))
    except ConfigError as error:
        # Only the layer knows who named a file that does not exist; a file that does names itself.
        missing = len(error.problems) == 1 and "not found" in str(error)
        errors.append(ConfigError([Problem(place, str(error))], hint=error.hint) if missing else error)
    except OSError as error:  # a name too long, a folder without permission
        errors.append(ConfigError([Problem(place, f"cannot be read: {error.strerror or error}")]))
    return None


def _matrix_source(layer: Layer) -> Path:
    """Return the path of a layer's matrix: in the current folder, or else next to the preset that names it."""
    path = expanded(Path(str(layer.raw["matrix_path"])))
    if path.parts[:1] and path.parts[0].startswith("~"):
        return path.absolute()  # the user does not exist, so it is a plain name
    if layer.document is not None and not path.exists():
        sibling = layer.document.path.parent / path
        return sibling if sibling.exists() else path
    return path


def _path_text(value: object) -> str | None:
    """Return a path as text, None where the value cannot be a path."""
    return str(value) if isinstance(value, str | Path) and str(value).strip() and "\0" not in str(value) else None


# Build


def _resolved_dates(values: Mapping[str, Any], origins: Mapping[str, str], today: date) -> DateRange:
    try:
        return resolve(values.get("date_range", {}), today)
    except ValueError as error:
        raise ConfigError([Problem(origins["date_range"], str(error))]) from None


def _build(values: Mapping[str, Any], matrix: Matrix, dates: DateRange) -> Request:
    """Return the request of checked values: each goes to the target of its field, others keep their default."""
    markets = _markets(values, matrix)
    types = (_data_type(name, matrix) for name in values.get("data_types", ()))
    ready = {name: expanded(value) if isinstance(value, Path) else value for name, value in values.items()} | {
        "markets": markets,
        "symbols": _symbols(values.get("symbols", {}), markets),
        "quote_assets": tuple(dict.fromkeys(values.get("quote_assets", ()))),
        "data_types": tuple(dict.fromkeys(types)),
        "intervals": _intervals(values.get("intervals", {}), matrix),
        "date_range": dates,
        "s5cmd_extra_args": read_arguments(values.get("s5cmd_extra_args", ()))[0],
    }
    if values.get("enable_batch_mode") is False:
        ready["batch_size"] = 1
    parts: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    for name, value in ready.items():
        if target := FIELDS[name].target:
            part, _, attribute = target.rpartition(".")
            parts[part][attribute] = value
    filters = SymbolFilter(**parts["selection.filters"])
    return Request(
        selection=Selection(**parts["selection"], filters=filters),
        access=Access(**parts["access"]),
        fetching=Fetching(**parts["fetching"]),
        budget=Budget(**parts["budget"]),
        **parts[""],
    )


def _markets(values: Mapping[str, Any], matrix: Matrix) -> tuple[Market, ...]:
    if "markets" in values:
        return tuple(dict.fromkeys(Market(word) for word in values["markets"]))
    return tuple(market for market in Market if matrix.rows_of(market))


def _symbols(groups: Mapping[str, list[str]], markets: Iterable[Market]) -> dict[Market, tuple[str, ...]]:
    own = {market: groups.get(market, groups.get(EVERY)) for market in markets}
    return {
        market: tuple(dict.fromkeys("*" if word == ALL else word for word in words))
        for market, words in own.items()
        if words
    }


def _intervals(groups: Mapping[str, list[str]], matrix: Matrix) -> dict[str, tuple[str, ...]]:
    """Return the intervals by the matrix's own names; entries of a type and of its alias are joined."""
    joined: defaultdict[str, list[str]] = defaultdict(list)
    for name, words in groups.items():
        joined[name if name == EVERY else _data_type(name, matrix)] += map(matrix.interval, words)
    return {data_type: tuple(dict.fromkeys(words)) for data_type, words in joined.items()}


def _data_type(name: str, matrix: Matrix) -> str:
    """Return the data type's own name; the name as given where it means different types in different markets."""
    meant = {row.data_type for row in rows_named(matrix, name)}
    return meant.pop() if len(meant) == 1 else name


# Notices


def _quote_notices(request: Request) -> Iterator[Notice]:
    """Yield a notice for each unknown quote asset that resembles a known one; it may be a new one."""
    for word in request.selection.filters.quotes:
        if word not in QUOTE_ASSETS and (near := nearest_phrase(word, sorted(QUOTE_ASSETS))):
            yield Notice(f"quote asset {word!r} is not a known one{near}")


# Effective values

DEFAULT = "default"
"""The origin of a value that is set nowhere."""


class EffectiveField(NamedTuple):
    """A field and the value that counts.

    Attributes:
        name: Its name.
        value: Its value, as JSON has it; None where there is none.
        origin: Where it came from: a file with its line, a variable, or ``default``.
        meaning: What an unset value means; empty if a value is set.
    """

    name: str
    value: object
    origin: str
    meaning: str = ""

    @property
    def is_default(self) -> bool:
        """Whether the value is set nowhere."""
        return self.origin == DEFAULT


def effective_fields(presets: Sequence[str], *, named: Callable[[str], str] = str) -> tuple[EffectiveField, ...]:
    """Return all fields with the values that count under these presets and the environment.

    Raises:
        ConfigError: All problems of the presets, the environment and the matrix file.
    """
    read = _read(presets, {}, named)
    fields = []
    for name, field in FIELDS.items():
        if name in read.values:
            origin = read.origins[name].removesuffix(f", {name}")
            fields.append(EffectiveField(name, _as_json(read.values[name]), origin))
        elif field.target or Source.PRESET in field.sources:
            default = field.default
            fields.append(EffectiveField(name, default, DEFAULT, field.absent))
    return tuple(fields)


def effective_document(presets: Sequence[str], fields: Iterable[EffectiveField]) -> dict[str, object]:
    """Return what ``effective_fields`` returned for presets as a JSON document."""
    return {
        "schema_version": 1,
        "presets": list(presets),
        "fields": {field.name: {"value": field.value, "from": field.origin} for field in fields},
    }


def _as_json(value: object) -> object:
    match value:
        case dict() if set(value) == {EVERY}:  # given as a plain list
            return value[EVERY]
        case Enum():
            return value.value
        case PurePath():
            return str(value)
    return value
