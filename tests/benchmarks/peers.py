"""The ways to bring a bucket to a disk, ours and those that users would run instead, as commands to measure."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_archive.s5cmd.binary import find_binary
from tests.archive.programs import rclone
from tests.archive.sample import BUCKET
from tests.archive.server import ENDPOINT_VARIABLE
from tests.benchmarks.buckets import Bucket, count_files
from tests.benchmarks.measuring import Command
from tests.benchmarks.server import TRUST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OURS = (sys.executable, "-m", "crypto_archive")
COLLECT = "crypto-archive collect"
REFERENCE = "s5cmd run"
AT_ONCE = 64
"""Transfers of the peers that are told how many: more makes none of them faster."""
_AWS_CONFIGURATION = f"""[default]
s3 =
    max_concurrent_requests = {AT_ONCE}
    multipart_threshold = 5GB
"""
"""In parts it would ask with If-Match for the MD5, which nginx cannot know; on a short wire parts are no gain."""
_REGION = "ap-northeast-1"
"""Without one, s5cmd asks for it."""


def environment_for(url: str) -> dict[str, str]:
    """Return the variables that lead all of them to a server, and make them trust it."""
    return TRUST | {
        ENDPOINT_VARIABLE: url,
        "AWS_REGION": _REGION,
        "RCLONE_CONFIG": os.devnull,
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": url,
        "NO_PROXY": "127.0.0.1",
    }


def s5cmd_at(url: str) -> list[str | Path]:
    """Return the beginning of every s5cmd command."""
    return [find_binary().path, "--no-sign-request", "--endpoint-url", url]


def downloads(bucket: Bucket, url: str, work: Path) -> list[Command]:
    """Return ours, the reference, and every peer that can run here; each brings the bucket to a folder of its own.

    Args:
        bucket: What to bring.
        url: The address of the server that has it.
        work: An empty folder for run-files and for what is brought.
    """
    work.mkdir()
    s5cmd = s5cmd_at(url)
    lines = [f"cp 's3://{BUCKET}/{key}' '{key}'\n" for key in bucket.all_keys()]
    (whole,) = _run_files(work / "whole", lines, len(lines))
    hundreds = _run_files(work / "hundreds", lines, 100)
    configuration = work / "aws-config"
    configuration.write_text(_AWS_CONFIGURATION)
    in_parallel = (
        f"printf '%s\\n' {hundreds[0].parent}/* | xargs -P8 -n1 {' '.join(map(str, s5cmd))} --numworkers 16 run"
    )
    ways: dict[str, Sequence[str | Path]] = {
        COLLECT: [*OURS, "collect", *bucket.selection, "--quiet", "--output", "."],
        REFERENCE: [*s5cmd, "run", whole],
        "s5cmd run, files of 100, xargs -P8": ["sh", "-c", in_parallel],
        "s5cmd cp, one wildcard": [*s5cmd, "cp", f"s3://{BUCKET}/data/*", "data/"],
        "rclone copy": [rclone(), "copy", f":s3:{BUCKET}/data", "data", "--transfers", str(AT_ONCE)],
    }
    if importlib.util.find_spec("obstore"):
        peer = Path(__file__).with_name("obstore_peer.py")
        ways["obstore and SHA-256"] = [sys.executable, peer, url, BUCKET, "data", "."]
    if aws := _aws():
        sync = ["s3", "sync", f"s3://{BUCKET}/data", "data", "--only-show-errors", "--no-sign-request"]
        ways["aws s3 sync"] = [*aws, *sync, "--endpoint-url", url]
    environment = environment_for(url) | {"AWS_CONFIG_FILE": str(configuration)}
    return [
        _into(work / f"way-{number}", name, way, environment, bucket) for number, (name, way) in enumerate(ways.items())
    ]


def missing_peers() -> Iterator[str]:
    """Yield what is missing of the peers that are packages for the bench alone."""
    if not importlib.util.find_spec("obstore"):
        yield "obstore is missing: pip install obstore"
    if not _aws():
        yield "aws is missing: pip install awscli"


def _aws() -> list[str] | None:
    if importlib.util.find_spec("awscli"):
        return [sys.executable, "-m", "awscli"]
    found = shutil.which("aws")
    return [found] if found else None


def _run_files(folder: Path, lines: Sequence[str], most: int) -> list[Path]:
    folder.mkdir()
    files = []
    for start in range(0, len(lines), most):
        files.append(folder / f"{start:07}.s5cmd")
        files[-1].write_text("".join(lines[start : start + most]))
    return files


def _into(
    folder: Path, name: str, arguments: Sequence[str | Path], environment: dict[str, str], bucket: Bucket
) -> Command:
    def check_and_clear() -> None:
        brought, expected = count_files(folder / "data"), (bucket.objects, bucket.files, bucket.bytes)
        if brought != expected:
            raise RuntimeError(f"{name} brought {brought} of {expected} zips, files and bytes")
        shutil.rmtree(folder)  # the next one finds the disk as this one did

    return Command(
        name, arguments, environment, folder, prepare=folder.mkdir, check=check_and_clear, ours=name == COLLECT
    )
