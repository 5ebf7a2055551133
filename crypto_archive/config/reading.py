"""Reads presets, environment and options as layers, merges them, and builds the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.config.document import dotted, line_number, read_document, with_lists
from crypto_archive.config.fields import ALL, EVERY, PREFIX, SCHEMA_FIELD, Dates, Options, Preset, Settings, variables
from crypto_archive.config.preset_files import expanded, preset_folder
from crypto_archive.config.presets import find_preset, user_folder
from crypto_archive.config.problems import faults, rows_named, vocabulary_problems
from crypto_archive.config.run_config import (
    DEFAULT_KEEP_RUNS,
    DEFAULT_LISTING_AGE_SECONDS,
    DEFAULT_ROOT,
    Access,
    Budget,
    Discovery,
    Fetching,
    Partitioning,
    Request,
    Selection,
    SymbolFilter,
)
from crypto_archive.config.values import overlay, read_arguments, resolve
from crypto_archive.errors import ConfigError, Problem
from crypto_archive.model import DateRange, Market

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import date

    from pydantic import BaseModel

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.config.document import Document, Place
    from crypto_archive.config.presets import Found


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of values.

    Attributes:
        raw: Its fields as they are written.
        values: Its fields with their types; empty where anything is wrong with them.
        place: Says where a value stands, for people.
        problems: What is wrong with the form of its values.
        document: The file that it is from, None for environment and options.
    """

    raw: Mapping[str, object]
    values: Mapping[str, object]
    place: Callable[[Place], str]
    problems: tuple[Problem, ...]
    document: Document | None = None


def preset_layer(document: Document) -> Layer:
    """Return the layer of a preset file; lists of symbols are read from beside it."""
    values = {field: value for field, value in document.values.items() if field != SCHEMA_FIELD}
    read = with_lists(values, document.place, document.path.parent)
    checked, problems = _validated(Preset, read.raw, read.place)
    return Layer(read.raw, checked, read.place, (*read.problems, *problems), document)


def environment_layer() -> Layer:
    """Return the layer of the environment variables and ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    environment, dotenv = variables()
    raw: dict[str, object] = {**dotenv, **environment}

    def place(where: Place) -> str:
        field = str(where[0])
        return ("" if field in environment else ".env, ") + PREFIX + field.upper()

    try:
        values = _given(Settings())
    except ValidationError as error:
        return Layer(raw, {}, place, tuple(faults(error, raw, place)))
    return Layer(raw, values, place, ())


def options_layer(options: Mapping[str, object], named: Callable[[str], str], *, standard_input: bool) -> Layer:
    """Return the layer of what a caller gives; None and empty lists are options that were not given.

    Lists of symbols are read, from files and, where that is allowed, from standard input.
    """
    given = {field: list(value) if isinstance(value, tuple) else value for field, value in options.items()}
    raw = {field: value for field, value in given.items() if value is not None and value != []}
    dates = {part: raw.pop(part) for part in Dates.model_fields if part in raw}
    if dates:
        whole = raw.get("date_range", {})
        raw["date_range"] = {**whole, **dates} if isinstance(whole, Mapping) else dates

    def place(where: Place) -> str:
        if where == ("date_range",) and dates:
            return ", ".join(map(named, dates))
        return named(str(where[-1] if where[0] == "date_range" else where[0]))

    read = with_lists(raw, place, Path(), standard_input=standard_input)
    values, problems = _validated(Options, read.raw, read.place)
    return Layer(read.raw, values, read.place, (*read.problems, *problems))


def merged(layers: Iterable[Layer]) -> tuple[dict[str, object], dict[str, str]]:
    """Return the values that count, the later layer's first, and for each field where it came from.

    Fields are taken whole, except for the dates of the options, which replace single ends of a preset's range.
    """
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    for layer in layers:
        for field, value in layer.values.items():
            origins[field] = layer.place((field,))
            if isinstance(value, Dates):
                parts = _given_dates(value)
                below = values.get(field) if layer.document is None else None
                values[field] = overlay(below if isinstance(below, dict) else {}, parts)
            else:
                values[field] = value
    return values, origins


def _validated(
    model: type[BaseModel], raw: Mapping[str, object], place: Callable[[Place], str]
) -> tuple[dict[str, object], tuple[Problem, ...]]:
    try:
        return _given(model.model_validate(dict(raw))), ()
    except ValidationError as error:
        return {}, tuple(faults(error, raw, place))


def _given(model: BaseModel) -> dict[str, object]:
    return {field: value for field in type(model).model_fields if (value := getattr(model, field)) is not None}


def _given_dates(dates: Dates) -> dict[str, str]:
    return {part: str(value) for part, value in _given(dates).items()}


class _Faults:
    """Collects what is wrong, so that a person learns of all of it at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.hints: list[str] = []

    def add(self, error: ConfigError) -> None:
        """Take over the problems of an error."""
        self.problems.extend(error.problems)
        if error.hint and error.hint not in self.hints:
            self.hints.append(error.hint)

    def raise_if_any(self) -> None:
        """Raise all problems as one ConfigError, unless there are none."""
        if self.problems:
            raise ConfigError(dict.fromkeys(self.problems), hint="\n".join(self.hints))


@dataclass(frozen=True, slots=True)
class Reading:
    """What all sources say together, nothing of it wrong.

    Attributes:
        found: The files of the presets.
        matrix: The matrix that they name, or the bundled one.
        values: The values that count, by field.
        origins: For each of these fields where its value came from, for people.
        dates: The days that ``date_range`` means.
    """

    found: Sequence[Found]
    matrix: Matrix
    values: Mapping[str, object]
    origins: Mapping[str, str]
    dates: DateRange


def read_all(
    presets: Iterable[str],
    options: Mapping[str, object],
    *,
    today: date,
    named: Callable[[str], str] = str,
    standard_input: bool = False,
) -> Reading:
    """Read presets, environment and options; the arguments are those of ``load_request``.

    Raises:
        ConfigError: All that is wrong with them and with the matrix file.
    """
    faults = _Faults()
    environment = _environment_of(faults)
    found = _found_presets(presets, preset_folder(_text(environment.raw.get("preset_dir"))), named, faults)
    given = options_layer(options, named, standard_input=standard_input)
    layers = [*_preset_layers(found, faults), environment, given]
    matrix = _matrix_of(layers, faults)
    for layer in layers:
        faults.problems.extend(_problems_of(layer, matrix))
    faults.raise_if_any()
    assert matrix is not None  # without it there was a fault
    values, origins = merged(layers)
    return Reading(found, matrix, values, origins, _dates_of(values, origins, today))


def preset_problems(wanted: str, *, today: date, place: str = "presets") -> tuple[Problem, ...]:
    """Return all that is wrong with one preset, taken by itself: no environment, no options, no other preset.

    Args:
        wanted: Its name or path.
        today: The current day, UTC.
        place: Where it was asked for, for people.

    Raises:
        ConfigError: ``.env``, which may say where presets are, cannot be read.
    """
    faults = _Faults()
    layers = _preset_layers(_found_presets([wanted], user_folder(), lambda _: place, faults), faults)
    matrix = _matrix_of(layers, faults)
    for layer in layers:
        faults.problems.extend(_problems_of(layer, matrix))
        faults.problems.extend(_order_of_dates(layer, today))
    return tuple(dict.fromkeys(faults.problems))


def _problems_of(layer: Layer, matrix: Matrix | None) -> list[Problem]:
    """Return what is wrong with a layer, in the order of its lines."""
    words = () if matrix is None else vocabulary_problems(layer, matrix)
    return sorted((*layer.problems, *words), key=lambda problem: line_number(problem.place))


def _environment_of(faults: _Faults) -> Layer:
    try:
        return environment_layer()
    except ConfigError as error:
        faults.add(error)
        return Layer({}, {}, dotted, ())


def _found_presets(presets: Iterable[str], folder: Path, named: Callable[[str], str], faults: _Faults) -> list[Found]:
    found = []
    for wanted in presets:
        try:
            found.append(find_preset(wanted, folder, named("presets")))
        except ConfigError as error:
            faults.add(error)
    return found


def _preset_layers(found: Iterable[Found], faults: _Faults) -> list[Layer]:
    layers = []
    for preset in found:
        try:
            layers.append(preset_layer(read_document(preset.path, preset.label)))
        except ConfigError as error:
            faults.add(error)
    return layers


def _matrix_of(layers: Sequence[Layer], faults: _Faults) -> Matrix | None:
    """Return the matrix that the layers name, the bundled one if they name none, or None if it cannot be loaded."""
    naming = next((layer for layer in reversed(layers) if _text(layer.raw.get("matrix_path"))), None)
    if naming is None:
        return load_matrix()
    try:
        return load_matrix(_matrix_source(naming))
    except ConfigError as error:
        faults.add(_with_origin(error, naming))
    except OSError as error:  # a name too long, a folder that may not be looked into
        faults.problems.append(Problem(naming.place(("matrix_path",)), f"cannot be read: {error.strerror or error}"))
    return None


def _matrix_source(layer: Layer) -> Path:
    """Return the path of a layer's matrix: as seen from here, or else from beside the preset that names it."""
    path = expanded(Path(str(layer.raw["matrix_path"])))
    if path.parts[:1] and path.parts[0].startswith("~"):
        return path.absolute()  # no such user: it is a plain name then
    if layer.document is not None and not path.exists():
        beside = layer.document.path.parent / path
        return beside if beside.exists() else path
    return path


def _with_origin(error: ConfigError, layer: Layer) -> ConfigError:
    """Return the error of a file that is not there with the place that names the file."""
    if len(error.problems) != 1 or "not found" not in str(error):
        return error
    return ConfigError([Problem(layer.place(("matrix_path",)), str(error))], hint=error.hint)


def _order_of_dates(layer: Layer, today: date) -> Iterator[Problem]:
    """Yield a problem where a layer's own first day is after its last, whatever else is wrong with it."""
    where = ("date_range",)
    try:
        parts = Dates.model_validate(layer.raw.get(*where) or {}).model_dump(exclude_none=True)
    except ValidationError:
        return  # that is told already
    try:
        resolve(parts, today)
    except ValueError as error:
        yield Problem(layer.place(where), str(error))


def _dates_of(values: Mapping[str, object], origins: Mapping[str, str], today: date) -> DateRange:
    try:
        return resolve(cast("Mapping[str, str]", values.get("date_range", {})), today)
    except ValueError as error:
        raise ConfigError([Problem(origins["date_range"], str(error))]) from None


def _text(value: object) -> str | None:
    """Return a path-like value as text, None where it is nothing that a path can be made from."""
    return str(value) if isinstance(value, str | Path) and str(value).strip() and "\0" not in str(value) else None


def assemble(values: Mapping[str, Any], matrix: Matrix, dates: DateRange) -> Request:
    """Return the request that checked values mean; a value that is not there takes its default."""
    return Request(
        selection=_selection(values, matrix, dates),
        root=expanded(values.get("output_directory", DEFAULT_ROOT)),
        discovery=values.get("discover", Discovery.LISTING),
        access=_access(values),
        fetching=_fetching(values),
        budget=Budget(values.get("max_objects"), values.get("max_bytes")),
        keep_runs=values.get("keep_runs", DEFAULT_KEEP_RUNS),
        listing_age_seconds=values.get("listing_age_seconds", DEFAULT_LISTING_AGE_SECONDS),
        layout=values.get("layout"),
    )


def _selection(values: Mapping[str, Any], matrix: Matrix, dates: DateRange) -> Selection:
    markets = _markets(values, matrix)
    return Selection(
        markets=markets,
        data_types=tuple(dict.fromkeys(_canonical(name, matrix) for name in values.get("data_types", ()))),
        symbols=_symbols(values.get("symbols", {}), markets),
        intervals=_intervals(values.get("intervals", {}), matrix),
        dates=dates,
        partition=values.get("partition", Partitioning.AUTO),
        filters=_filters(values),
    )


def _markets(values: Mapping[str, Any], matrix: Matrix) -> tuple[Market, ...]:
    """Return the wanted markets, all that the matrix has where none is named."""
    if "markets" in values:
        return tuple(dict.fromkeys(Market(word) for word in values["markets"]))
    return tuple(market for market in Market if any(row.market is market for row in matrix.rows))


def _symbols(groups: Mapping[str, list[str]], markets: tuple[Market, ...]) -> dict[Market, tuple[str, ...]]:
    own = {market: groups.get(market, groups.get(EVERY)) for market in markets}
    return {
        market: tuple(dict.fromkeys("*" if word == ALL else word for word in words))
        for market, words in own.items()
        if words
    }


def _filters(values: Mapping[str, Any]) -> SymbolFilter:
    quotes = tuple(dict.fromkeys(values.get("quote_assets", ())))
    return SymbolFilter(quotes, values.get("contract"), values.get("settled"))


def _intervals(groups: Mapping[str, list[str]], matrix: Matrix) -> dict[str, tuple[str, ...]]:
    """Return the intervals by the matrix's own names; entries of a type and of its alias are joined."""
    joined: dict[str, list[str]] = {}
    for name, words in groups.items():
        data_type = name if name == EVERY else _canonical(name, matrix)
        joined.setdefault(data_type, []).extend(matrix.interval(word) for word in words)
    return {data_type: tuple(dict.fromkeys(words)) for data_type, words in joined.items()}


def _canonical(name: str, matrix: Matrix) -> str:
    """Return the data type's own name; the name as given where it means different types in different markets."""
    meant = {row.data_type for row in rows_named(matrix, name)}
    return meant.pop() if len(meant) == 1 else name


def _access(values: Mapping[str, Any]) -> Access:
    given = {field: values[field] for field in ("endpoint_url", "region", "bucket") if field in values}
    s5cmd = expanded(values["s5cmd"]) if "s5cmd" in values else None
    return Access(**given, s5cmd=s5cmd, extra_args=read_arguments(values.get("s5cmd_extra_args", ()))[0])


def _fetching(values: Mapping[str, Any]) -> Fetching:
    names = {
        "max_parallel_downloads": "jobs",
        "batch_size": "batch_size",
        "download_checksum": "download_checksum",
        "enable_resume": "resume",
        "force_redownload": "force",
        "timeout_seconds": "timeout_seconds",
        "stall_seconds": "stall_seconds",
        "part_size_mb": "part_size_mb",
    }
    given = {ours: values[field] for field, ours in names.items() if field in values}
    if values.get("enable_batch_mode") is False:
        given["batch_size"] = 1
    return Fetching(**given)
