"""The fields of a preset and what each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from crypto_archive.config.amounts import byte_count
from crypto_archive.config.dates import day_text, span_text
from crypto_archive.model import Contract
from crypto_archive.request import DEFAULT_ENDPOINT_URL, Discovery, Partitioning

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


SELECTION = ("markets", "symbols", "quote_assets", "contract", "settled", "data_types", "intervals", "date_range")
"""The fields that say what is wanted; a preset without any of them only says how to fetch."""
