"""The demonstration behind ``make demo``: the main job end to end, against a local S3 server with a sample archive.

Every command that it runs is printed as a person would type it. The result stays in the folder ``archive`` below
``--to``, so that the next demonstration finds everything present.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.archive.sample import demo, write_sample
from tests.archive.server import ENDPOINT_VARIABLE, S3Server

COMMANDS = (
    "crypto-archive plan --preset research --output {archive}",
    "crypto-archive collect --preset research --output {archive}",
    "crypto-archive verify --preset research --output {archive}",
    "crypto-archive collect --preset research --output {archive}",
    "crypto-archive coverage --preset research --output {archive}",
    "crypto-archive coverage --preset research --output {archive} --to {archive}.html",
)


def run_demo(folder: Path) -> int:
    """Write the sample, serve it, run the commands; return the first exit code that is not 0."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    print(f"Writing a sample of the archive up to {yesterday} …", flush=True)
    sample = write_sample(folder / "bucket", demo(yesterday))
    print(f"{len(sample.spec.objects):,} objects in {sample.bucket}", flush=True)
    with S3Server(sample.root) as server:
        environment = os.environ | {ENDPOINT_VARIABLE: server.endpoint_url}
        print(f"Served by a real S3 server at {server.endpoint_url}", flush=True)
        for command in COMMANDS:
            code = _run(shlex.split(command.format(archive=shlex.quote(str(folder / "archive")))), environment)
            if code:
                return code
    print(f"\nThe result: {(folder / 'archive').resolve()}")
    return 0


def _run(command: list[str], environment: dict[str, str]) -> int:
    print(f"\n$ {shlex.join(command)}", flush=True)
    return subprocess.run(
        [sys.executable, "-m", "crypto_archive", *command[1:]], env=environment, check=False
    ).returncode


def main() -> None:
    """Parse the command line and run the demonstration."""
    parser = argparse.ArgumentParser(prog="python -m tests.archive.demo", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder for sample and result")
    sys.exit(run_demo(parser.parse_args().to))


if __name__ == "__main__":
    main()
