"""Rounds of a fuzz: one file that the tool reads is spoilt, commands read it, and each ends as it is documented.

Every round copies a small archive root with all the files that a user may give, spoils one of them by chance, and runs
a command that reads it. The command ends with a documented exit code, without a traceback, within seconds and 300 MB;
what a link leads to stays as it was.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import yaml

from crypto_archive.files import MATRIX_FILE, data_folder
from crypto_archive.model import Market
from tests.archive.running import clean_environment
from tests.archive.sample import SampleSpec, days, of_days, of_months, write_sample
from tests.archive.server import S3Server
from tests.conftest import leaks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ALLOWED = {0, 2, 3, 4, 5}
"""The documented exit codes of a command that nobody interrupts, without that of a bug."""
LONGEST_SECONDS = 60.0
"""A command that takes longer hangs."""
CPU_SECONDS = 20.0
MOST_BYTES = 300_000_000

FIRST, LAST = date(2025, 6, 28), date(2025, 6, 30)
SERIES = ("-m", "futures_um", "-t", "klines", "-i", "1d", "-s", "BTCUSDT")
DATES = ("--start", str(FIRST), "--end", str(LAST))
OFFLINE = ("--discover", "calendar")
FOLDER = "archive/data/futures/um/daily/klines/BTCUSDT/1d/BTCUSDT-1d-"
MONTH = "archive/data/futures/um/monthly/klines/BTCUSDT/1d/BTCUSDT-1d-2025-06.zip"
OURS = "archive/.crypto-archive"
MINE = "mine/notes.txt"

_PLAN, _COLLECT = ("plan", *SERIES, *DATES), ("collect", *SERIES, *DATES, "-q")
_PRUNE = (*_COLLECT, "--partition", "monthly", "--prune-covered")
_READ = (_PLAN, (*_PLAN, *OFFLINE), ("verify", "--all"), ("coverage", *SERIES, *DATES), ("doctor",))
_WRITE = (_COLLECT, _PRUNE, ("verify", "--all", "--repair"), ("relayout", "--to", "hive"))

Command = tuple[str, ...]


class Target(NamedTuple):
    """A file that the tool reads, and commands that read it."""

    path: str
    commands: tuple[Command, ...]
    weight: int = 4


TARGETS = (
    *(Target(name, (
        ("plan", "-p", name, *OFFLINE), ("preset", "check", name), ("preset", "show", name),
        ("preset", "new", "copy", "--from", name), ("collect", "-n", "-p", name),
    )) for name in ("my.yaml", "my.json")),
    *(Target(name, (
        (*_PLAN, *OFFLINE, "--matrix", name), ("matrix", "show", "--matrix", name), ("plan", "-p", "by-matrix.yaml"),
        ("relayout", "--to", "hive", "--dry-run", "--matrix", name),
    )) for name in ("matrix.yaml", "matrix.json")),
    Target("plan.lock", (
        ("collect", "--locked", "plan.lock", "-q"), ("collect", "-n", "--locked", "plan.lock"),
        (*_PLAN, "--diff", "plan.lock"),
    )),
    Target("list.txt", (("plan", *SERIES[:-2], *DATES, *OFFLINE, "-s", "@list.txt"), ("plan", "-p", "by-list.yaml"))),
    Target(".env", (_PLAN, ("preset", "list"), ("doctor",))),
    Target("m.prom", ((*_COLLECT, "--metrics-file", "m.prom"),)),
    Target(f"{OURS}/manifest.sqlite", (*_READ, *_WRITE, ("verify", "--rebuild-manifest"))),
    Target(f"{OURS}/listings.sqlite", (_PLAN, _COLLECT, ("symbols", *SERIES[:4]), _READ[3])),
    Target(f"{OURS}/layout.json", (*_READ, *_WRITE)),
    Target(f"{OURS}/lock.json", (_COLLECT, ("doctor",), ("relayout", "--to", "hive"))),
    Target(f"{OURS}/lock", (_COLLECT, ("doctor",))),
    Target(f"{OURS}/runs/20250701T000000Z-abcdef/report.json", (_PLAN, (*_PLAN, *OFFLINE), _COLLECT)),
    *(Target(name, (*_READ[2:4], *_WRITE)) for name in (
        f"{FOLDER}{FIRST}.zip", f"{FOLDER}{FIRST}.zip.CHECKSUM", MONTH, f"{MONTH}.CHECKSUM")),
    *(Target(f"{OURS}/{name}", (*_WRITE, _PLAN), 1) for name in (
        "staging", "quarantine", "covered", "runs", "parts", "shards", "parts/rounds")),
    Target("archive/data", _WRITE, 1),
    Target("archive/data/market=futures_um", _WRITE, 1),
)  # fmt: skip


# How files are spoilt

ODD_TEXTS = ("", " ", "\\ud800", "\\u202e", "\\u0000", "\\u001b[31m", "x" * 5000, "../../x", "币安", "2025-07-15", "*",
             "@list.txt", "-", "~nobody-of-that-name/x", "a[/b]", "${HOME}", "%s{}", "BTCUSDT", "klines")  # fmt: skip
ODD_NUMBERS = ("0", "-1", "1.5", "1e999", "-1e999", "NaN", "Infinity", "1" * 30, "1" * 400, "1" * 5000, "1e-400")
BOMB = "\n".join([
    "a: &a [x,x,x]", *(f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
])  # fmt: skip
MERGES = BOMB.replace("[x,x,x]", "{x: 1}").replace("[*", "{<<: [*").replace("]", "]}")
ODD_YAML = (
    BOMB, MERGES, "a: &a [*a]", "symbols: &a {spot: *a}", "a: !!python/object/apply:os.system [exit]", "? [a, b]\n: c",
    "<<: 5", "<<: {a: 1}", "%YAML 9.9\n---\na: 1", "a: 1\n...\nb: 2", "--- |\n text", "a: 'open", "\tx: 1", "&a : *a",
    "rows: " + "[" * 300 + "]" * 300, "rows: [" + "{}," * 20_000 + "]", "symbols: [" + "1," * 20_000 + "]",
    "symbols: [" + "btc-usdt," * 5_000 + "]", "a: " + "9" * 5000, "a: 1e999", "a: .nan", "a: 2025-02-30", "\ufeffa: 1",
)  # fmt: skip


def odd_json(rng: random.Random, depth: int = 0) -> str:
    """Return a JSON text of any type and depth; some of them only Python's parser accepts."""
    kind = rng.choice(("null", "true", "text", "number", "list", "object", "deep") if depth < 4 else ("null", "number"))
    match kind:
        case "text":
            return f'"{rng.choice(ODD_TEXTS)}"'
        case "number":
            return rng.choice(ODD_NUMBERS)
        case "list":
            return f"[{','.join(odd_json(rng, depth + 1) for _ in range(rng.randrange(4)))}]"
        case "object":
            names = rng.sample(ODD_TEXTS, rng.randrange(4))
            return "{" + ",".join(f'"{name}": {odd_json(rng, depth + 1)}' for name in names) + "}"
        case "deep":
            levels = rng.choice((50, 500, 10_000, 100_000))
            return rng.choice(("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels, "[" * levels))
    return kind


def with_odd_value(document: Any, rng: random.Random) -> str:
    """Return a document as JSON in which something, at any depth, has been replaced by an odd value."""
    holder: dict[str, Any] = {"document": json.loads(json.dumps(document, default=str))}
    at: tuple[Any, Any] = (holder, "document")
    while rng.random() < 0.8:
        inner = at[0][at[1]]
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner))) if isinstance(inner, list) else []
        if not keys:
            break
        at = (inner, rng.choice(keys))
    at[0][at[1]] = "@@"
    return json.dumps(holder["document"]).replace('"@@"', odd_json(rng), 1)


def spoil_bytes(path: Path, rng: random.Random) -> str:
    """Change, insert, delete or repeat some bytes."""
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 3, 20))):
        at, length = rng.randrange(len(content) + 1), rng.choice((1, 1, 4, 100))
        junk = rng.choice((rng.randbytes(length), bytes(length), b"\xff" * length, b"9" * length, b"[{\"'&*<-\n\t"))
        match rng.randrange(4):
            case 0:
                content[at : at + len(junk)] = junk
            case 1:
                content[at:at] = junk
            case 2:
                del content[at : at + length]
            case _:
                content[at:at] = content[at : at + 1000] * rng.choice((1, 10))
    path.write_bytes(content)
    return "bytes spoilt"


def replace_bytes(path: Path, rng: random.Random) -> str:
    """Put other content in the place of all of it."""
    what = rng.choice(("random", "lines", "one line", "sparse", "empty", "json", "html"))
    content = {
        "random": rng.randbytes(rng.choice((1, 100, 100_000))),
        "lines": b"a\n" * rng.choice((10, 200_000)),
        "one line": rng.choice((b"1", b"A ", b"[", b"\x00", b"\xe5\xb8\x81")) * rng.choice((100_000, 900_000)),
        "json": odd_json(rng).encode(),
        "html": b"<html><body>503 Service Unavailable</body></html>",
    }.get(what, b"")
    path.write_bytes(content)
    if what == "sparse":
        os.truncate(path, 200_000_000)
    return f"replaced: {what}"


def spoil_document(path: Path, rng: random.Random) -> str:
    """Put an odd value into a document, or odd YAML in its place."""
    text = path.read_text("utf-8")
    if path.suffix == ".yaml" and rng.random() < 0.5:
        path.write_text(rng.choice(ODD_YAML), "utf-8")
        return "odd YAML"
    path.write_text(with_odd_value(yaml.safe_load(text), rng), "utf-8")
    return "odd value"


def spoil_lines(path: Path, rng: random.Random) -> str:
    """Change a field of a line, or the order of lines."""
    lines = path.read_text("utf-8").split("\n")
    at = rng.randrange(len(lines))
    fields = lines[at].split("\t")
    fields[rng.randrange(len(fields))] = rng.choice((*ODD_TEXTS, *ODD_NUMBERS))
    lines[at] = "\t".join(fields)
    if rng.random() < 0.3:
        rng.shuffle(lines)
    path.write_text("\n".join(lines), "utf-8")
    return "a line spoilt"


def spoil_database(path: Path, rng: random.Random) -> str:
    """Put values of other types into columns, or change the tables."""
    values = (None, 0, -1, 2**62, 1.5, float("inf"), "", "x", "2025-06-30", b"", b"\xff", "9" * 100_000,
              zlib.compress(odd_json(rng).encode()), zlib.compress(b" " * 30_000_000))  # fmt: skip
    with closing(sqlite3.connect(path)) as connection, connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        table = rng.choice(tables)
        column = rng.choice([row[1] for row in connection.execute(f"PRAGMA table_info({table})")])
        statement, value = rng.choice((
            (f"UPDATE OR IGNORE {table} SET {column} = ?", rng.choice(values)),
            (f"UPDATE OR IGNORE {table} SET {column} = ?", rng.choice(values)),
            (f"UPDATE OR IGNORE {table} SET {column} = CAST(? AS TEXT)", b"\xff\xfe"),
            (f"ALTER TABLE {table} RENAME COLUMN {column} TO other", None),
            (f"DROP TABLE {table}", None),
            (f"DELETE FROM {table}", None),
            (f"PRAGMA user_version = {rng.choice((0, 1, 2, 99, -1))}", None),
        ))  # fmt: skip
        with suppress(sqlite3.Error):  # some of it SQLite refuses
            connection.execute(statement, () if value is None else (value,))
    return f"{statement} {str(value)[:40]}"


def put_special(path: Path, rng: random.Random) -> str:
    """Put something that is not a file, or a link, in its place."""
    what = rng.choice(("fifo", "folder", "/dev/zero", "/dev/null", "nowhere", MINE, "mine", "loop"))
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    match what:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "loop":
            path.symlink_to(path.name)
        case _:
            path.symlink_to(_work_of(path) / what)  # an absolute path stays as it is
    return what


def _work_of(path: Path) -> Path:
    return next(folder for folder in path.parents if (folder / MINE).exists())


def _ways(path: Path) -> tuple[Callable[[Path, random.Random], str], ...]:
    """Return the ways in which a file can be spoilt."""
    if not path.is_file():
        return (put_special,)
    general = (spoil_bytes, replace_bytes, put_special)
    match path.suffix:
        case ".yaml" | ".json":
            return (*general, spoil_document, spoil_document, spoil_document)
        case ".sqlite":
            return (*general, spoil_database, spoil_database, spoil_database)
        case ".lock" | ".txt" | ".prom" | ".CHECKSUM":
            return (*general, spoil_lines, spoil_lines)
    return general


# Rounds


def _bytes(usage: resource.struct_rusage) -> int:
    """Return the most memory that a process took."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass(slots=True)
class FuzzCounts:
    """What a fuzz has met so far.

    Attributes:
        rounds: Rounds that are over.
        codes: How often a command ended with each exit code.
        targets: How often each file was spoilt.
        longest: The most CPU seconds that a command took.
        largest: The most bytes of memory that a command took.
        findings: Ends that are not allowed, each with its round.
    """

    rounds: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    targets: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    largest: int = 0
    findings: list[str] = field(default_factory=list)


class Fuzz:
    """A small archive with a server, and all the files that a user may give, for as long as the context lasts.

    Attributes:
        counts: What it has met so far.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.counts = FuzzCounts()
        self._folder = folder
        self._seed = seed
        self._sound = folder / "sound"
        self._work = folder / "work"

    def __enter__(self) -> Self:
        daily = of_days(Market.FUTURES_UM, "klines", ("BTCUSDT",), days(FIRST, LAST), ("1d",))
        monthly = of_months(Market.FUTURES_UM, "klines", ("BTCUSDT",), (FIRST,), ("1d",))
        served = write_sample(self._folder / "served", SampleSpec.of([*daily, *monthly])).root
        self._server = S3Server(served)
        self._server.__enter__()
        self._write_sound_files()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.__exit__(None, None, None)

    def round(self) -> list[str]:
        """Spoil one file, run one command that reads it, and return what was not allowed."""
        self.counts.rounds += 1
        number = self.counts.rounds
        rng = random.Random(f"{self._seed}:fuzz:{number}")
        shutil.rmtree(self._work, ignore_errors=True)
        shutil.copytree(self._sound, self._work, symlinks=True)
        (target,) = rng.choices(TARGETS, [target.weight for target in TARGETS])
        path = self._work / target.path
        how = rng.choice(_ways(path))(path, rng)
        command = rng.choice(target.commands)
        self.counts.targets[target.path] += 1
        story = f"fuzz round {number} (seed {self._seed}; {target.path}: {how}; {' '.join(command)})"
        found = [f"{story}: {line}" for line in self._broken(command)]
        if found:
            self.counts.findings += found
            self._work.rename(self._folder / f"finding-fuzz-{number:04d}")
        return found

    def _broken(self, command: Command) -> list[str]:
        code, seconds, size = self._run(self._work, *command)
        counts, errors = self.counts, (self._folder / "err").read_text("utf-8", "replace")
        counts.codes[code] += 1
        counts.longest, counts.largest = max(counts.longest, seconds), max(counts.largest, size)
        broken = []
        if code not in ALLOWED or "Traceback" in errors:
            broken.append(f"exit code {code}: {errors[-1500:]}")
        if seconds > CPU_SECONDS:
            broken.append(f"{seconds:.0f} seconds")
        # A process starts with the peak of the one that forked it: up to that, its own is not known.
        if size > max(MOST_BYTES, _bytes(resource.getrusage(resource.RUSAGE_SELF))):
            broken.append(f"{size:,} bytes of memory")
        mine = {path.name: path.read_text("utf-8") for path in (self._work / "mine").iterdir()}
        if mine != {"notes.txt": "mine"}:
            broken.append(f"the user's own folder has changed: {mine}")
        return broken

    def _run(self, folder: Path, *arguments: str) -> tuple[int, float, int]:
        """Run a command; return its exit code, CPU seconds, and the bytes of memory that it took at most."""
        with (self._folder / "out").open("wb") as out, (self._folder / "err").open("wb") as err:
            process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", "-m", "crypto_archive", *arguments],
                cwd=folder, env=self._environment(folder), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                start_new_session=True,
            )  # fmt: skip
            hang = threading.Timer(LONGEST_SECONDS, os.kill, (process.pid, signal.SIGABRT))  # it says where it stands
            hang.start()
            _, status, usage = os.wait4(process.pid, 0)
            hang.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_utime + usage.ru_stime, _bytes(usage)

    def _environment(self, folder: Path) -> dict[str, str]:
        inherited = {name: value for name, value in clean_environment().items() if not leaks(name)}
        return inherited | {
            "HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "CRYPTO_ARCHIVE_ENDPOINT_URL": self._server.endpoint_url,
            "CRYPTO_ARCHIVE_OUTPUT_DIRECTORY": "archive",
        }

    def _write_sound_files(self) -> None:
        """Write the files that are copied for each round, as far as possible with the tool itself."""
        sound = self._sound
        (sound / "mine").mkdir(parents=True)
        (sound / MINE).write_text("mine", "utf-8")
        selection = {"markets": ["futures_um"], "data_types": ["klines"], "intervals": {"klines": ["1d"]},
                     "symbols": {"futures_um": ["BTCUSDT"]}, "date_range": {"last": "3d"}}  # fmt: skip
        seed_form = {"availability_matrix": [{
            "market": "futures_um", "data_type": "klines", "intervals": ["1d"], "partitions": ["daily", "monthly"],
            "available_from": "2020-01-01", "filename_pattern": "{symbol}-{interval}-{date}.zip", "url_pattern":
            "s3://data.binance.vision/data/futures/um/{partition}/klines/{symbol}/{interval}/{filename}"}]}  # fmt: skip
        documents = {"my.yaml": selection, "my.json": selection, "matrix.json": seed_form}
        documents["by-matrix.yaml"] = selection | {"matrix_path": "matrix.yaml", "discover": "calendar"}
        documents["by-list.yaml"] = selection | {"symbols": ["@list.txt"], "discover": "calendar"}
        for name, document in documents.items():
            (sound / name).write_text(json.dumps(document, indent=1), "utf-8")
        shutil.copy(data_folder("matrix") / MATRIX_FILE, sound / "matrix.yaml")
        (sound / "list.txt").write_text("BTCUSDT, ETHUSDT\n# no more\n币安人生USDT\n", "utf-8")
        (sound / ".env").write_text("CRYPTO_ARCHIVE_KEEP_RUNS=20\n", "utf-8")
        for command in (
            _COLLECT, (*_COLLECT, "--partition", "monthly", "--metrics-file", "m.prom"), (*_PLAN, "--lock", "plan.lock")
        ):  # fmt: skip
            code, *_ = self._run(sound, *command)
            assert code == 0, (self._folder / "err").read_text("utf-8")
        ours = sound / OURS
        holder = {"pid": 7, "host": "elsewhere", "started": "2025-07-15", "purpose": "collect", "brief": False}
        (ours / "lock.json").write_text(json.dumps(holder), "utf-8")
        (ours / "layout.json").write_text('{"layout": "mirror"}\n', "utf-8")
        run = next(path for path in (ours / "runs").iterdir() if path.is_dir())
        shutil.copytree(run, ours / "runs" / "20250701T000000Z-abcdef")
