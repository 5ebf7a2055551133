"""Turns presets, environment and options into one request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from crypto_archive.config.assembly import assemble
from crypto_archive.config.dates import resolve
from crypto_archive.config.document import dotted, line_number, read_document
from crypto_archive.config.layers import Layer, environment_layer, merged, options_layer, preset_layer
from crypto_archive.config.preset import SELECTION
from crypto_archive.config.settings import expanded, misspelt_variables, preset_folder
from crypto_archive.config.sources import find_preset
from crypto_archive.config.vocabulary import vocabulary_problems
from crypto_archive.errors import ConfigError, Problem, UsageError, nearest_told
from crypto_archive.matrix import load_matrix
from crypto_archive.model import DateRange, Notice
from crypto_archive.request import Wish
from crypto_archive.symbols import QUOTE_ASSETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from crypto_archive.config.sources import Found
    from crypto_archive.matrix import Matrix
    from crypto_archive.model import ShardName
    from crypto_archive.request import Request

NOTICES_OF_A_KIND = 20
"""How many words of a long list are told one by one."""
EVERYTHING = Notice(
    "no market, symbol, data type, interval or date is selected: "
    "this means all markets with their default symbols, all data types and all dates"
)


@dataclass(frozen=True, slots=True)
class Configured:
    """A request, and how it came about.

    Attributes:
        request: What is to be done.
        matrix: The matrix that it speaks of.
        presets: The presets, as they were asked for.
        notices: What a person should know of the configuration.
        origins: For each field that was set, where its value came from; fields that are not in it have their default.
    """

    request: Request
    matrix: Matrix
    presets: tuple[str, ...]
    notices: tuple[Notice, ...]
    origins: Mapping[str, str]

    def locked_by(self, path: Path, bucket: str, shard: ShardName | None = None) -> Configured:
        """Return the same, but with a lock file that says what is wanted and from which bucket.

        Args:
            path: The lock file.
            bucket: The bucket that it is of.
            shard: Which shard of a plan it is; None where it is none.

        Raises:
            ConfigError: Another bucket was asked for.
        """
        access = self.request.access
        if access.bucket != bucket and (asked := self.origins.get("bucket")):
            raise ConfigError([Problem(asked, f"{access.bucket!r}, but {path} locks objects of the bucket {bucket!r}")])
        access = replace(access, bucket=bucket)
        request = replace(self.request, wish=Wish(()), access=access, locked=path, shard=shard)
        return replace(self, request=request, notices=tuple(one for one in self.notices if one is not EVERYTHING))

    @property
    def selects(self) -> bool:
        """Whether anything says what is wanted; without it a request means the whole archive."""
        return any(field in self.origins for field in SELECTION)

    def require_selection(self) -> None:
        """Refuse to fetch the whole archive because somebody forgot to say what they want.

        Raises:
            UsageError: Nothing is selected.
        """
        if not self.selects:
            raise UsageError(
                "Nothing is selected, and the whole archive is too much to fetch by accident",
                hint="Name a preset, such as --preset research, or say what you want with --market, --symbol, "
                "--data-type, --interval or dates; `crypto-archive plan --list-presets` says what presets there are.",
            )


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


def load_request(
    presets: Sequence[str],
    options: Mapping[str, object],
    *,
    today: date,
    named: Callable[[str], str] = str,
    standard_input: bool = False,
) -> Configured:
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
    faults = _Faults()
    environment = _environment(faults)
    found = _found_presets(presets, preset_folder(_text(environment.raw.get("preset_dir"))), named, faults)
    given = options_layer(options, named, standard_input=standard_input)
    layers = [*_preset_layers(found, faults), environment, given]
    matrix = _matrix(layers, faults)
    for layer in layers:
        faults.problems.extend(_problems(layer, matrix))
    faults.raise_if_any()
    assert matrix is not None  # without it there was a fault
    values, origins = merged(layers)
    request = assemble(values, matrix, _dates(values, origins, today))
    notices = (
        *_shadow_notices(found),
        *misspelt_variables(),
        *_selection_notices(values),
        *_case_notices(request),
        *_quote_notices(request),
    )
    return Configured(request, matrix, tuple(presets), notices, origins)


def _problems(layer: Layer, matrix: Matrix | None) -> list[Problem]:
    """Return what is wrong with a layer, in the order of its lines."""
    words = () if matrix is None else vocabulary_problems(layer, matrix)
    return sorted((*layer.problems, *words), key=lambda problem: line_number(problem.place))


def _environment(faults: _Faults) -> Layer:
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


def _matrix(layers: Sequence[Layer], faults: _Faults) -> Matrix | None:
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


def _dates(values: Mapping[str, object], origins: Mapping[str, str], today: date) -> DateRange:
    try:
        return resolve(cast("Mapping[str, str]", values.get("date_range", {})), today)
    except ValueError as error:
        raise ConfigError([Problem(origins["date_range"], str(error))]) from None


def _shadow_notices(found: Iterable[Found]) -> Iterable[Notice]:
    for preset in found:
        if preset.hides:
            yield Notice(f"preset {preset.path.stem!r} is your own, {preset.path}; it hides the bundled one")


def _selection_notices(values: Mapping[str, object]) -> Iterable[Notice]:
    if not any(field in values for field in SELECTION):
        yield EVERYTHING


def _case_notices(request: Request) -> Iterable[Notice]:
    """Yield a notice for each symbol in small letters, since keys tell them apart from capital ones."""
    words = dict.fromkeys(word for symbols in request.wish.symbols.values() for word in symbols)
    small = [word for word in words if word != word.upper()]
    for word in small[:NOTICES_OF_A_KIND]:
        yield Notice(f"symbol {word!r} has small letters and the archive's have none; did you mean {word.upper()!r}?")
    if more := small[NOTICES_OF_A_KIND:]:
        yield Notice(f"{len(more)} more symbols have small letters and the archive's have none")


def _quote_notices(request: Request) -> Iterable[Notice]:
    """Yield a notice for each quote asset that is not known and looks like one that is; it may be a new one."""
    for word in request.wish.filters.quotes:
        if word not in QUOTE_ASSETS and (near := nearest_told(word, sorted(QUOTE_ASSETS))):
            yield Notice(f"quote asset {word!r} is not among those that are known{near}")


def _text(value: object) -> str | None:
    """Return a path-like value as text, None where it is nothing that a path can be made from."""
    return str(value) if isinstance(value, str | Path) and str(value).strip() and "\0" not in str(value) else None
