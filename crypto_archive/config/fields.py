"""What each field of a preset means, in a sentence, with an example: for editors, new files, and people who ask."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from crypto_archive.config.assembly import DEFAULT_ROOT
from crypto_archive.request import (
    DEFAULT_KEEP_RUNS,
    DEFAULT_LISTING_AGE_SECONDS,
    Access,
    Discovery,
    Fetching,
    Partitioning,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Field(NamedTuple):
    """A field of presets for people.

    Attributes:
        meaning: What it says, in a sentence or two.
        example: A value, as YAML writes it on one line.
        absent: What it means to leave it out, where there is no default value to tell.
    """

    meaning: str
    example: str
    absent: str = ""


FIELDS: Mapping[str, Field] = {
    "description": Field("What the preset is for; shown by `crypto-archive preset list`.", "My own choice", "none"),
    "workflow_type": Field("Taken for the sake of older configurations; of no effect.", "archive_collection", "none"),
    "matrix_path": Field(
        "Another matrix file. A relative path is looked up from the current folder, then from beside the preset.",
        "enhanced_binance_archive_matrix.json",
        "the matrix of the package",
    ),
    "output_directory": Field("The archive root. A relative path counts from the current folder.", "/data/binance"),
    "layout": Field(
        "Where objects stand in the archive root: mirror (by key), hive, a template, or module:attribute.",
        "hive",
        "the layout that the root has; mirror for a new one",
    ),
    "markets": Field("Which markets.", "[spot, futures_um]", "all markets"),
    "symbols": Field(
        "Names, globs ('*USDT'), exclusions ('!*DOWNUSDT'), lists of a file ('@symbols.txt') or all: one list for all "
        "markets, or a list for each. A text that begins with *, ! or @ needs quotes.",
        "{spot: [BTCUSDT, ETHUSDT], futures_um: ['*USDT', '!*DOWNUSDT']}",
        "the default symbols of the matrix; all symbols where quote_assets, contract or settled are given",
    ),
    "quote_assets": Field("Only symbols that are quoted in one of these.", "[USDT, USDC]", "all quote assets"),
    "contract": Field("Only futures contracts of this kind; other symbols stay.", "perpetual", "both kinds"),
    "settled": Field("Only symbols that were settled, or only those that were not.", "false", "both"),
    "data_types": Field("Which data types.", "[klines, fundingRate]", "all data types"),
    "intervals": Field(
        "Which intervals: one list for all data types that have intervals, or a list for each.",
        "{klines: [1h, 1d]}",
        "all intervals",
    ),
    "date_range": Field(
        "Days in UTC, both ends included: start and end, either of which may be left out and end may be yesterday; or "
        "the last days or weeks that end yesterday, such as {last: 7d}.",
        "{start: 2025-06-01, end: 2025-07-15}",
        "all dates",
    ),
    "partition": Field(
        "Daily or monthly objects; auto takes a month that is over as one object where the listing has that.", "daily"
    ),
    "discover": Field("Learn what exists from the bucket's listing, or from the calendar without asking.", "calendar"),
    "max_objects": Field("Stop before anything is fetched, if it would be more objects.", "10000", "no limit"),
    "max_bytes": Field("The same for bytes; needs the listing.", "20GiB", "no limit"),
    "batch_size": Field("Copy commands in a run-file; a zip and its sidecar count as two.", "50"),
    "max_parallel_downloads": Field("s5cmd processes side by side.", "4"),
    "enable_batch_mode": Field("False is the same as a batch_size of 1: one copy command in a run-file.", "true"),
    "enable_resume": Field("Whether objects that are there are skipped.", "true"),
    "force_redownload": Field("Fetch again what is there; outweighs enable_resume.", "false"),
    "download_checksum": Field("Fetch the sidecars and prove objects by them.", "true"),
    "timeout_seconds": Field("The longest that one s5cmd process may work on one run-file, in seconds.", "900"),
    "part_size_mb": Field("s5cmd's part size in MiB.", "10", "s5cmd's own"),
    "s5cmd_extra_args": Field("Further global options for s5cmd.", "[--retry-count=5]", "none"),
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
