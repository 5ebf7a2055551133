"""``make bench``: start-up, memory of a plan, and a collect, each against a peer in the same run."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.s5cmd.binary import find_binary
from tests.archive.sample import bulk, write_sample
from tests.archive.server import ENDPOINT_VARIABLE, S3Server
from tests.benchmarks.measuring import Command, compare, measure
from tests.benchmarks.scale import scale

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = (sys.executable, "-m", "crypto_archive")
OPTIONS = (("-m", "market"), ("-t", "data_type"), ("-s", "symbol"), ("-i", "interval"))
ALL_ROWS = ("-m", "spot", "-m", "futures_um", "-m", "futures_cm", "-m", "options")


def start_up() -> None:
    """``--help`` against the import of the library that draws it."""
    compare(
        "Start-up",
        Command("crypto-archive --help", (*OURS, "--help")),
        Command('python -c "import typer"', (sys.executable, "-c", "import typer")),
        pairs=9,
    )


def plan_memory(folder: Path) -> None:
    """A calendar plan of all rows over years against the same over weeks: memory must not grow with the count."""
    plan = (*OURS, "plan", *ALL_ROWS, "--discover", "calendar", "--json", "--output", folder / "nowhere")
    compare(
        "Plan from the calendar: all rows, default symbols",
        Command("two years, about a million objects", (*plan, "--end", "2025-06-30", "--last", "720d")),
        Command("ten weeks, about a tenth of it", (*plan, "--end", "2025-06-30", "--last", "72d")),
        pairs=1,
    )


def collecting(folder: Path, objects: int) -> None:
    """A collect, proof and all, against plain s5cmd with one run-file of the same copies and no proof."""
    sample = write_sample(folder / "bucket", bulk(objects))
    root, plain = folder / "root", folder / "plain"
    with S3Server(sample.root) as server:
        environment = {ENDPOINT_VARIABLE: server.endpoint_url, "AWS_REGION": "ap-northeast-1"}
        keys = [f"{key}{suffix}" for key in sample.spec.keys for suffix in ("", ".CHECKSUM")]
        run_file = folder / "all.s5cmd"
        run_file.write_text("".join(f"cp 's3://{sample.bucket.name}/{key}' '{key}'\n" for key in keys))

        def start_over() -> None:
            for place in (root, plain):
                shutil.rmtree(place, ignore_errors=True)
            plain.mkdir()

        wanted = {option: {str(getattr(item, field)) for item in sample.spec.objects} for option, field in OPTIONS}
        selection = [word for option, values in wanted.items() for value in sorted(values) for word in (option, value)]
        collect = (*OURS, "collect", *selection, "--output", root, "--quiet")
        s5cmd = (
            str(find_binary().path), "--no-sign-request", "--endpoint-url", server.endpoint_url, "run", str(run_file)
        )  # fmt: skip
        compare(
            f"Collect {len(sample.spec.objects):,} objects with their sidecars over loopback",
            Command("crypto-archive collect", collect, environment, prepare=start_over),
            Command("s5cmd run, one process, nothing proven", s5cmd, environment, plain, prepare=start_over),
            pairs=3,
        )
        fetched = sum(1 for _ in root.rglob("*.zip")) if measure(Command("collect", collect, environment)) else 0
        if fetched != len(sample.spec.objects):
            raise RuntimeError(f"the collect brought {fetched} of {len(sample.spec.objects)} objects")
        compare(
            "A second collect, everything present",
            Command("crypto-archive collect", collect, environment),
            Command("s5cmd run, one process, all over again", s5cmd, environment, plain),
            pairs=3,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all measurements, or those of scale, which take many minutes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("--scale", action="store_true", help="plans of millions, second runs over a hundred thousand")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="crypto-archive-bench-") as folder:
        if asked.scale:
            scale(Path(folder))
            return
        start_up()
        plan_memory(Path(folder))
        collecting(Path(folder), 2_000)


if __name__ == "__main__":
    main()
