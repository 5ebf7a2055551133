"""How s5cmd is called: its arguments and its environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from crypto_archive.request import Access
    from crypto_archive.s5cmd.binary import Binary

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
