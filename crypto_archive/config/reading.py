"""Reads the sources of a configuration, and collects all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from crypto_archive.config.dates import resolve
from crypto_archive.config.document import dotted, line_number, read_document
from crypto_archive.config.layers import Layer, environment_layer, merged, options_layer, preset_layer
from crypto_archive.config.preset import Dates
from crypto_archive.config.sources import find_preset, user_folder
from crypto_archive.config.vocabulary import vocabulary_problems
from crypto_archive.errors import ConfigError, Problem
from crypto_archive.matrix import load_matrix
from crypto_archive.preset_files import expanded, preset_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date

    from crypto_archive.config.sources import Found
    from crypto_archive.matrix import Matrix
    from crypto_archive.model import DateRange


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
