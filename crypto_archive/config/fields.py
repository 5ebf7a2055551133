"""The fields of a preset: what each takes, means and defaults to; and those that the environment may set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.config.run_config import (
    DEFAULT_KEEP_RUNS,
    DEFAULT_LISTING_AGE_SECONDS,
    DEFAULT_ROOT,
    Access,
    Discovery,
    Fetching,
    Partitioning,
)
from crypto_archive.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pydantic import BaseModel


import os
from dataclasses import asdict
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from crypto_archive.config.run_config import (
    DEFAULT_ENDPOINT_URL,
)
from crypto_archive.config.values import byte_count, day_text, span_text
from crypto_archive.errors import nearest
from crypto_archive.model import Contract, Notice

EVERY = "*"
"""The key that stands for all markets, or all data types, that have no entry of their own."""

ALL = "all"
"""The word among symbols that stands for all that the archive has."""

LONGEST_WAIT_SECONDS = 604_800


def _one_group(value: object) -> object:
    """Turn a plain list, meant for all markets or types alike, into a mapping with one entry."""
    return value if value is None or isinstance(value, Mapping) else {EVERY: value}


def _usable_path(value: object) -> object:
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"{value!r} cannot be a path")
    return value


def _endpoint(value: str) -> str:
    """Return an endpoint URL without a slash at its end.

    Raises:
        ValueError: It is no URL of an S3 endpoint, or it holds a password, which would come to stand in reports.
    """
    if "@" in value:
        raise ValueError(
            "an endpoint URL may not hold a user name or password (it is shown in messages and reports); for signed "
            "requests use AWS's own settings and s5cmd_extra_args: [--profile=NAME]"
        )
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"{value!r} is not a URL; write it like {DEFAULT_ENDPOINT_URL} or http://127.0.0.1:9000")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            f"{value!r} must end with the host or port; the bucket's name is set with CRYPTO_ARCHIVE_BUCKET"
        )
    if parts.hostname == "data.binance.vision":
        # It would answer 404 to every key, which looks like an empty archive.
        raise ValueError(f"{value!r} is a web site, not an S3 endpoint; the archive's is {DEFAULT_ENDPOINT_URL}")
    return value.rstrip("/")


# Strict, since pydantic would otherwise take sets and bytes, which nothing here looks into.
Text = Annotated[str, Field(strict=True)]
Texts = Annotated[list[Text], Field(strict=True)]
Names = Annotated[Texts, Field(min_length=1)]
Groups = Annotated[dict[Text, Names], BeforeValidator(_one_group), Field(min_length=1)]
Count = Annotated[int, Field(strict=True)]
Bytes = Annotated[int, BeforeValidator(byte_count), Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)]
ListingAge = Annotated[float, Field(ge=0, le=LONGEST_WAIT_SECONDS, allow_inf_nan=False)]
StrictSeconds = Annotated[Seconds, Field(strict=True)]
Jobs = Annotated[int, Field(ge=1, le=64)]
FilePath = Annotated[Path, BeforeValidator(_usable_path)]
EndpointUrl = Annotated[str, AfterValidator(_endpoint)]
Region = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
Bucket = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
Day = Annotated[str, BeforeValidator(day_text)]
Span = Annotated[str, BeforeValidator(span_text)]


class Dates(BaseModel):
    """``date_range``: two days, either of which may be left out, or the last days that end yesterday or at ``end``."""

    model_config = ConfigDict(extra="forbid")

    start: Day | None = None
    end: Day | None = None
    last: Span | None = None

    @model_validator(mode="after")
    def _last_has_no_start(self) -> Dates:
        if self.last is not None and self.start is not None:
            raise ValueError("'last' and 'start' contradict each other; give 'start' and 'end', or 'last'")
        return self


class Preset(BaseModel):
    """What a preset may say; every field may be left out, and null is the same as leaving it out.

    Names of markets, data types, intervals and symbols are checked against the matrix later on.
    """

    model_config = ConfigDict(extra="forbid")

    description: Text | None = None
    workflow_type: Literal["archive_collection"] | None = None
    matrix_path: FilePath | None = None
    output_directory: FilePath | None = None
    layout: Annotated[Text, Field(min_length=1)] | None = None
    markets: Names | None = None
    symbols: Groups | None = None
    quote_assets: Names | None = None
    contract: Contract | None = None
    settled: bool | None = None
    data_types: Names | None = None
    intervals: Groups | None = None
    date_range: Dates | None = None
    partition: Partitioning | None = None
    discover: Discovery | None = None
    max_objects: Annotated[Count, Field(ge=1)] | None = None
    max_bytes: Bytes | None = None
    batch_size: Annotated[Count, Field(ge=1, le=100)] | None = None
    max_parallel_downloads: Annotated[Jobs, Field(strict=True)] | None = None
    enable_batch_mode: bool | None = None
    enable_resume: bool | None = None
    force_redownload: bool | None = None
    download_checksum: bool | None = None
    timeout_seconds: StrictSeconds | None = None
    part_size_mb: Annotated[Count, Field(ge=1, le=5120)] | None = None
    s5cmd_extra_args: Texts | None = None


class Options(Preset):
    """What options of the command line may say: all that presets may, and how the archive is reached."""

    endpoint_url: EndpointUrl | None = None
    region: Region | None = None
    bucket: Bucket | None = None
    s5cmd: FilePath | None = None
    stall_seconds: StrictSeconds | None = None
    listing_age_seconds: ListingAge | None = None


PREFIX = "CRYPTO_ARCHIVE_"


class Settings(BaseSettings):
    """Settings of a machine or a user; an empty variable counts as unset.

    ``preset_dir`` is the folder of the user's own presets.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    endpoint_url: EndpointUrl | None = None
    region: Region | None = None
    bucket: Bucket | None = None
    s5cmd: FilePath | None = None
    output_directory: FilePath | None = None
    layout: str | None = None
    matrix_path: FilePath | None = None
    max_parallel_downloads: Jobs | None = None
    timeout_seconds: Seconds | None = None
    stall_seconds: Seconds | None = None
    partition: Partitioning | None = None
    discover: Discovery | None = None
    keep_runs: Annotated[int, Field(ge=1)] | None = None
    listing_age_seconds: ListingAge | None = None
    preset_dir: FilePath | None = None


def variables() -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings as they are written, by field: those of the environment, and those of ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    try:
        dotenv = DotEnvSettingsSource(Settings)()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(".env", f"cannot be read: {error}")]) from None
    return _known(EnvSettingsSource(Settings)()), _known(dotenv)


def misspelt_variables() -> tuple[Notice, ...]:
    """Return a notice for each variable that looks like one of ours and is none."""
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    unknown = [name for name in sorted(os.environ) if name.upper().startswith(PREFIX) and name.upper() not in known]
    guesses = ((name, nearest(name, known)) for name in unknown)
    # The prefix alone makes any two names look alike, so what follows it has to be alike as well.
    return tuple(
        Notice(f"the environment variable {name} has no meaning; did you mean {guess}?")
        for name, guess in guesses
        if guess and nearest(name[len(PREFIX) :], [guess[len(PREFIX) :]])
    )


def _known(found: dict[str, object]) -> dict[str, str]:
    return {field: str(found[field]) for field in Settings.model_fields if found.get(field) is not None}


class FieldHelp(NamedTuple):
    """A field of presets for people.

    Attributes:
        meaning: What it says, in a sentence or two.
        example: A value, as YAML writes it on one line.
        absent: What it means to leave it out, where there is no default value to tell.
    """

    meaning: str
    example: str
    absent: str = ""


FIELDS: Mapping[str, FieldHelp] = {
    "description": FieldHelp("What the preset is for; shown by `crypto-archive preset list`.", "My own choice", "none"),
    "workflow_type": FieldHelp(
        "Taken for the sake of older configurations; of no effect.", "archive_collection", "none"
    ),
    "matrix_path": FieldHelp(
        "Another matrix file. A relative path is looked up from the current folder, then from beside the preset.",
        "enhanced_binance_archive_matrix.json",
        "the matrix of the package",
    ),
    "output_directory": FieldHelp("The archive root. A relative path counts from the current folder.", "/data/binance"),
    "layout": FieldHelp(
        "Where objects stand in the archive root: mirror (by key), hive, a template, or module:attribute.",
        "hive",
        "the layout that the root has; mirror for a new one",
    ),
    "markets": FieldHelp("Which markets.", "[spot, futures_um]", "all markets"),
    "symbols": FieldHelp(
        "Names, globs ('*USDT'), exclusions ('!*DOWNUSDT'), lists of a file ('@symbols.txt') or all: one list for all "
        "markets, or a list for each. A text that begins with *, ! or @ needs quotes.",
        "{spot: [BTCUSDT, ETHUSDT], futures_um: ['*USDT', '!*DOWNUSDT']}",
        "the default symbols of the matrix; all symbols where quote_assets, contract or settled are given",
    ),
    "quote_assets": FieldHelp("Only symbols that are quoted in one of these.", "[USDT, USDC]", "all quote assets"),
    "contract": FieldHelp("Only futures contracts of this kind; other symbols stay.", "perpetual", "both kinds"),
    "settled": FieldHelp("Only symbols that were settled, or only those that were not.", "false", "both"),
    "data_types": FieldHelp("Which data types.", "[klines, fundingRate]", "all data types"),
    "intervals": FieldHelp(
        "Which intervals: one list for all data types that have intervals, or a list for each.",
        "{klines: [1h, 1d]}",
        "all intervals",
    ),
    "date_range": FieldHelp(
        "Days in UTC, both ends included: start and end, either of which may be left out and end may be yesterday; or "
        "the last days or weeks that end yesterday, such as {last: 7d}.",
        "{start: 2025-06-01, end: 2025-07-15}",
        "all dates",
    ),
    "partition": FieldHelp(
        "Daily or monthly objects; auto takes a month that is over as one object where the listing has that.", "daily"
    ),
    "discover": FieldHelp(
        "Learn what exists from the bucket's listing, or from the calendar without asking.", "calendar"
    ),
    "max_objects": FieldHelp("Stop before anything is fetched, if it would be more objects.", "10000", "no limit"),
    "max_bytes": FieldHelp("The same for bytes; needs the listing.", "20GiB", "no limit"),
    "batch_size": FieldHelp("Copy commands in a run-file; a zip and its sidecar count as two.", "50"),
    "max_parallel_downloads": FieldHelp("s5cmd processes side by side.", "4"),
    "enable_batch_mode": FieldHelp("False is the same as a batch_size of 1: one copy command in a run-file.", "true"),
    "enable_resume": FieldHelp("Whether objects that are there are skipped.", "true"),
    "force_redownload": FieldHelp("Fetch again what is there; outweighs enable_resume.", "false"),
    "download_checksum": FieldHelp("Fetch the sidecars and prove objects by them.", "true"),
    "timeout_seconds": FieldHelp("The longest that one s5cmd process may work on one run-file, in seconds.", "900"),
    "part_size_mb": FieldHelp("s5cmd's part size in MiB.", "10", "s5cmd's own"),
    "s5cmd_extra_args": FieldHelp("Further global options for s5cmd.", "[--retry-count=5]", "none"),
}
"""The fields in the order of the model."""


def left_out(name: str) -> str:
    """Return what it means to leave a field out, in words: its default value, or what there is in place of one."""
    default = default_values().get(name)
    return FIELDS[name].absent or (str(default).lower() if isinstance(default, bool) else str(default))


def default_values() -> dict[str, object]:
    """Return the values, as JSON has them, of all fields and settings that have one when nobody says anything."""
    fetching, access = asdict(Fetching()), Access()
    return {
        "output_directory": str(DEFAULT_ROOT),
        "partition": str(Partitioning.AUTO),
        "discover": str(Discovery.LISTING),
        "batch_size": fetching["batch_size"],
        "max_parallel_downloads": fetching["jobs"],
        "enable_batch_mode": True,
        "enable_resume": fetching["resume"],
        "force_redownload": fetching["force"],
        "download_checksum": fetching["download_checksum"],
        "timeout_seconds": int(fetching["timeout_seconds"]),
        "stall_seconds": int(fetching["stall_seconds"]),
        "endpoint_url": access.endpoint_url,
        "region": access.region,
        "bucket": access.bucket,
        "keep_runs": DEFAULT_KEEP_RUNS,
        "listing_age_seconds": int(DEFAULT_LISTING_AGE_SECONDS),
    }


SCHEMA_FIELD = "$schema"
"""What JSON files say to editors, and to nobody else."""
