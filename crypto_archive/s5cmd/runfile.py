"""Run-files, and the arguments and environment that s5cmd runs them with."""

from __future__ import annotations

import os
import shlex
import unicodedata
from itertools import count, islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from crypto_archive.config.run_config import Access
    from crypto_archive.s5cmd.binary import Binary

_UNWRITABLE = {"Cc", "Cs"}
"""Categories of characters that a run-file cannot hold: Cc would end or garble a line, Cs has no UTF-8 form."""
_GLOB_SIGNS = frozenset("*?")


class Parts(NamedTuple):
    """How s5cmd copies an object that is larger than one part.

    Attributes:
        size_mb: The size of a part in MiB; None leaves it to s5cmd: 50.
        at_once: How many parts are under way at the same time; None leaves it to s5cmd: 5.
    """

    size_mb: int | None = None
    at_once: int | None = None

    @property
    def flags(self) -> str:
        """The flags of a copy command, followed by a space."""
        size = "" if self.size_mb is None else f"--part-size {self.size_mb} "
        return size + ("" if self.at_once is None else f"--concurrency {self.at_once} ")


AS_S5CMD_LIKES = Parts()


def copy_line(bucket: str, key: str, destination: str, parts: Parts = AS_S5CMD_LIKES) -> str:
    """Return the command that copies one object to a relative path, without expanding anything in its key.

    Raises ValueError where the key cannot be written to a run-file, or the destination could leave its folder.
    """
    if not key or key.endswith("/") or not is_writable(key):
        raise ValueError(f"the key {key!r} cannot be written to a run-file")
    # s5cmd takes a path that ends in "/" for a folder.
    if not is_inside(destination) or destination.endswith("/"):
        raise ValueError(f"the destination {destination!r} is not a relative path of a file")
    return f"cp --raw {parts.flags}{shlex.quote(f's3://{bucket}/{key}')} {shlex.quote(destination)}"


def is_inside(destination: str) -> bool:
    """Whether a run-file can name a path, and it is one below the folder in which s5cmd runs."""
    path = PurePosixPath(destination)
    inside = bool(path.parts) and not path.is_absolute() and ".." not in path.parts
    return inside and is_writable(destination) and not destination.startswith("s3://")  # which is another bucket


def list_line(bucket: str, prefix: str) -> str:
    """Return the command that lists every object whose key starts with ``prefix``, at any depth.

    Raises ValueError for ``*``, ``?`` and control characters, which s5cmd cannot take literally in a prefix.
    """
    return f"ls {shlex.quote(_url_to_list(bucket, prefix) + '*')}"


def folders_line(bucket: str, folder: str) -> str:
    """Return the command that lists what is directly in ``folder``, a prefix that ends in ``/`` or is empty."""
    if folder and not folder.endswith("/"):
        raise ValueError(f"the folder {folder!r} must end in '/'")
    return f"ls {shlex.quote(_url_to_list(bucket, folder))}"


def write_run_file(path: Path, lines: Iterable[str], header: str = "") -> None:
    """Write commands to a file, below a header of comments; the folder must exist."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"# {line}\n" for line in header.splitlines())
        file.writelines(f"{line}\n" for line in lines)


def run_files(
    folder: Path,
    number: int,
    lines: Iterable[str],
    *,
    batch_size: int = 100,
    attempt: int = 1,
    after_cdn: bool = False,
    by_name: bool = False,
    cdn_url: str | None = None,
) -> Iterator[Path]:
    """Write the run-files of a batch, each once the one before it has been used, and yield their paths.

    Each has at most ``batch_size`` copy commands, and is called ``batch-00001.s5cmd``, ``batch-00001-part2.s5cmd``,
    ``batch-00001-attempt2.s5cmd``, ``batch-00001-s3.s5cmd`` for what a CDN did not have in this attempt, or
    ``batch-00001-by-name.s5cmd`` for what no pattern of the attempt has brought.
    """
    remaining = iter(lines)
    for part in count(1):
        some = tuple(islice(remaining, batch_size))
        if not some:
            return
        again = (
            (f"-attempt{attempt}" if attempt > 1 else "")
            + ("-s3" if after_cdn else "")
            + ("-by-name" if by_name else "")
        )
        further = f"-part{part}" if part > 1 else ""
        path = folder / f"batch-{number:05d}{again}{further}.s5cmd"
        endpoint = f"--endpoint-url {cdn_url} " if cdn_url is not None else ""
        header = (
            f"crypto-archive, batch {number}, attempt {attempt}, {len(some)} copy commands.\n"
            f"By hand, in the folder that is to hold the files: s5cmd --no-sign-request {endpoint}run {path.name}"
        )
        write_run_file(path, some, header)
        yield path


def _url_to_list(bucket: str, prefix: str) -> str:
    if not is_writable(prefix) or not _GLOB_SIGNS.isdisjoint(prefix):
        raise ValueError(f"the prefix {prefix!r} cannot be listed with s5cmd")
    return f"s3://{bucket}/{prefix}"


def is_writable(text: str) -> bool:
    """Whether a run-file can hold a text."""
    return text.isprintable() or all(unicodedata.category(character) not in _UNWRITABLE for character in text)


_KEPT = frozenset({"AWS_CA_BUNDLE"})
"""The one AWS variable that says how to reach the network and not who asks."""


def command_line(
    binary: Binary, access: Access, run_file: Path, *, workers: int, retries: int, log: str = "info"
) -> list[str]:
    """Return the arguments that run a run-file; the user's extra arguments win over ``workers`` and ``retries``.

    With the log level ``trace``, s5cmd also prints the headers of requests and responses.
    """
    given = {argument.lstrip("-").split("=")[0] for argument in access.extra_args if argument.startswith("-")}
    arguments = [str(binary.path), "--json", "--log", log, "--endpoint-url", access.endpoint_url]
    if access.anonymous and "no-sign-request" not in given:
        arguments.append("--no-sign-request")
    if "numworkers" not in given:
        arguments += ["--numworkers", str(workers)]
    # s5cmd refuses the two forms of one flag together (measured, v2.3.0).
    if given.isdisjoint({"retry-count", "r"}):
        arguments += ["--retry-count", str(retries)]
    # Absolute, since s5cmd runs in another folder.
    return [*arguments, *access.extra_args, "run", str(run_file.absolute())]


def child_environment(
    access: Access, environ: Mapping[str, str] | None = None, *, one_of_many: bool = False
) -> dict[str, str]:
    """Return the environment for s5cmd, made from ``environ``, by default that of this process.

    Anonymous requests see no AWS settings at all. Proxies, certificates and the rest stay. A process that is
    ``one_of_many``, and has only small files to copy, keeps to one core: otherwise its threads spend more time looking
    for work than working (measured with v2.3.0).
    """
    kept = dict(os.environ if environ is None else environ)
    if access.anonymous:
        kept = {name: value for name, value in kept.items() if not _is_setting(name)}
        # Not even a damaged ~/.aws/config is read, which would stop s5cmd (measured, v2.3.0).
        kept |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    if one_of_many:
        kept = {"GOMAXPROCS": "1"} | kept
    # Without a region s5cmd asks the server for it, with a wrong one it fails (peak/s5cmd #519, #709).
    return kept | {"AWS_REGION": access.region, "AWS_DEFAULT_REGION": access.region}


def _is_setting(name: str) -> bool:
    return name not in _KEPT and (name.upper().startswith("AWS_") or name.upper() == "S3_ENDPOINT_URL")
