"""Run-files, and the arguments and environment that s5cmd runs them with."""

from __future__ import annotations

import os
import shlex
import unicodedata
from itertools import islice
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from crypto_archive.config.run_config import Access
    from crypto_archive.s5cmd.binary import Binary

SUFFIX = ".s5cmd"

# Cc would end or garble a line, Cs has no UTF-8 form.
_UNSPEAKABLE = {"Cc", "Cs"}
_GLOB_SIGNS = frozenset("*?")


def copy_line(bucket: str, key: str, destination: str, part_size_mb: int | None = None) -> str:
    """Return the command that copies one object to a file, without expanding anything in its key.

    Args:
        bucket: The bucket's name.
        key: The object's key, verbatim.
        destination: A relative path with ``/`` between its parts.
        part_size_mb: s5cmd's part size in MiB; None leaves it to s5cmd.

    Raises:
        ValueError: The key cannot stand in a run-file, or the destination could leave its folder.
    """
    if not _speakable(key) or key.endswith("/") or not key:
        raise ValueError(f"the key {key!r} cannot stand in a run-file")
    _check_destination(destination)
    size = "" if part_size_mb is None else f"--part-size {part_size_mb} "
    return f"cp --raw {size}{shlex.quote(f's3://{bucket}/{key}')} {shlex.quote(destination)}"


def list_line(bucket: str, prefix: str) -> str:
    """Return the command that lists every object whose key starts with ``prefix``, at any depth.

    Raises:
        ValueError: The prefix has ``*``, ``?`` or control characters; s5cmd has no way to take these by themselves.
    """
    return f"ls {shlex.quote(_url_to_list(bucket, prefix) + '*')}"


def folders_line(bucket: str, folder: str) -> str:
    """Return the command that lists what lies directly in ``folder``, a prefix that ends in ``/`` or is empty.

    Raises:
        ValueError: As of ``list_line``, or the folder does not end in ``/``.
    """
    if folder and not folder.endswith("/"):
        raise ValueError(f"the folder {folder!r} has to end in '/'")
    return f"ls {shlex.quote(_url_to_list(bucket, folder))}"


def write_run_file(path: Path, lines: Iterable[str], header: str = "") -> None:
    """Write commands to a file, below a header of comments; the folder must exist."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"# {line}\n" for line in header.splitlines())
        file.writelines(f"{line}\n" for line in lines)


def run_files(
    folder: Path,
    number: int,
    keys: Iterable[str],
    *,
    bucket: str,
    batch_size: int = 100,
    part_size_mb: int | None = None,
    attempt: int = 1,
) -> Iterator[Path]:
    """Write the run-files of a batch, each when the one before it has been used, and yield their paths.

    A file is called ``batch-00001.s5cmd``, ``batch-00001-part2.s5cmd``, ``batch-00001-attempt2.s5cmd``.

    Args:
        folder: Where to write them; it must exist.
        number: The batch's number.
        keys: The keys to copy, each to a path of the same name.
        bucket: The bucket's name.
        batch_size: Copy commands a file.
        part_size_mb: s5cmd's part size in MiB; None leaves it to s5cmd.
        attempt: From 1.
    """
    remaining = iter(keys)
    part = 1
    while some := tuple(islice(remaining, batch_size)):
        path = folder / (_stem(number, attempt, part) + SUFFIX)
        lines = (copy_line(bucket, key, key, part_size_mb) for key in some)
        write_run_file(path, lines, _header(number, attempt, len(some), path.name))
        yield path
        part += 1


def _stem(number: int, attempt: int, part: int) -> str:
    again = f"-attempt{attempt}" if attempt > 1 else ""
    further = f"-part{part}" if part > 1 else ""
    return f"batch-{number:05d}{again}{further}"


def _header(number: int, attempt: int, commands: int, name: str) -> str:
    return (
        f"crypto-archive, batch {number}, attempt {attempt}, {commands} copy commands.\n"
        f"By hand, in the folder that is to hold the files: s5cmd --no-sign-request run {name}"
    )


def _url_to_list(bucket: str, prefix: str) -> str:
    if not _speakable(prefix) or not _GLOB_SIGNS.isdisjoint(prefix):
        raise ValueError(f"the prefix {prefix!r} cannot be listed with s5cmd")
    return f"s3://{bucket}/{prefix}"


def _check_destination(destination: str) -> None:
    path = PurePosixPath(destination)
    inside = path.parts and not path.is_absolute() and ".." not in path.parts
    # s5cmd takes "s3://" for another bucket and a path that ends in "/" for a folder.
    if not inside or not _speakable(destination) or destination.startswith("s3://") or destination.endswith("/"):
        raise ValueError(f"the destination {destination!r} is no relative path of a file")


def _speakable(text: str) -> bool:
    return text.isprintable() or all(unicodedata.category(character) not in _UNSPEAKABLE for character in text)


# The one AWS variable that says how to reach the network and not who asks.
_KEPT = frozenset({"AWS_CA_BUNDLE"})


def command_line(
    binary: Binary, access: Access, run_file: Path, *, workers: int, retries: int, log: str = "info"
) -> list[str]:
    """Return the arguments that run a run-file.

    Args:
        binary: The s5cmd to run.
        access: How the bucket is reached; its extra arguments win over ``workers`` and ``retries``.
        run_file: The run-file; made absolute, since s5cmd runs in another folder.
        workers: Commands under way at the same time.
        retries: How often s5cmd itself repeats a request.
        log: How much s5cmd tells; with ``trace`` also the heads of requests and answers.
    """
    given = set(_option_names(access.extra_args))
    arguments = [str(binary.path), "--json", "--log", log, "--endpoint-url", access.endpoint_url]
    if access.anonymous and "no-sign-request" not in given:
        arguments.append("--no-sign-request")
    if "numworkers" not in given:
        arguments += ["--numworkers", str(workers)]
    # s5cmd refuses the two forms of one flag side by side (measured, v2.3.0).
    if given.isdisjoint({"retry-count", "r"}):
        arguments += ["--retry-count", str(retries)]
    return [*arguments, *access.extra_args, "run", str(run_file.absolute())]


def child_environment(access: Access, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for s5cmd.

    The region is always set: without one s5cmd asks the server for it, with a wrong one it fails (peak/s5cmd #519,
    #709). Anonymous requests see no AWS settings at all, not even a damaged ``~/.aws/config``, which would stop s5cmd
    (measured, v2.3.0). Proxies, certificates and the rest stay.

    Args:
        access: How the bucket is reached.
        environ: The environment to start from; None for that of this process.
    """
    kept = dict(os.environ if environ is None else environ)
    if access.anonymous:
        kept = {name: value for name, value in kept.items() if not _is_setting(name)}
        kept |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return kept | {"AWS_REGION": access.region, "AWS_DEFAULT_REGION": access.region}


def _is_setting(name: str) -> bool:
    return name not in _KEPT and (name.upper().startswith("AWS_") or name.upper() == "S3_ENDPOINT_URL")


def _option_names(arguments: Iterable[str]) -> Iterator[str]:
    return (argument.lstrip("-").split("=")[0] for argument in arguments if argument.startswith("-"))
