"""The Dockerfile of docs/operations.md, done as far as it can be without a container engine.

    python -m tests.docs.container --wheel FILE --to DIR

runs its RUN steps with /opt below DIR and the wheel in place of the package's name, but for those that need a user
of their own, and then what ENTRYPOINT and CMD would run, as a dry run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.docs.blocks import blocks
from tests.docs.generated import DOCS

_NEEDS_ROOT = ("useradd", "install -d")


def dockerfile() -> str:
    """Return the Dockerfile of the page."""
    shown = blocks((DOCS / "operations.md").read_text("utf-8"))
    return next(block.text for block in shown if block.kind == "dockerfile")


def instructions(text: str) -> list[tuple[str, Any]]:
    """Return the instructions of a Dockerfile, continued lines joined, and arguments in JSON as lists."""
    joined = re.sub(r"\\\n\s*", "", text)
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    pairs = [line.split(" ", 1) for line in lines]
    return [(name, json.loads(rest) if rest.startswith("[") else rest) for name, rest in pairs]


def build_and_run(wheel: Path, to: Path) -> None:
    """Do the steps.

    Raises:
        CalledProcessError: One of them failed.
    """
    steps = instructions(dockerfile())
    environment = {"PATH": os.environ["PATH"], "HOME": str(to)}
    for name, value in steps:
        if name == "RUN" and not value.startswith(_NEEDS_ROOT):
            command = re.sub(r"(install .*)\bcrypto-archive$", rf"\g<1>{wheel.resolve()}", value)
            _run(["sh", "-euc", command.replace("/opt/", f"{to.resolve()}/opt/")], environment, to)
        elif name == "ENV":
            for pair in value.replace("/opt/", f"{to.resolve()}/opt/").split():
                variable, _, text = pair.partition("=")
                environment[variable] = text.replace("$PATH", environment["PATH"])
    environment["CRYPTO_ARCHIVE_OUTPUT_DIRECTORY"] = str(to.resolve() / "archive")
    entry, arguments = dict(steps)["ENTRYPOINT"], dict(steps)["CMD"]
    every = arguments.index("--every")  # a dry run has no rounds
    _run([*entry, "--version"], environment, to)
    _run([*entry, *arguments[:every], "--dry-run", "--json"], environment, to)


def _run(command: list[str], environment: dict[str, str], folder: Path) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, env=environment, cwd=folder, check=True)


def main() -> None:
    """Parse the command line and do the steps."""
    parser = argparse.ArgumentParser(prog="python -m tests.docs.container", description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, metavar="FILE", help="the wheel to install")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="an empty folder that stands for /")
    parsed = parser.parse_args()
    parsed.to.mkdir(parents=True, exist_ok=True)
    build_and_run(parsed.wheel, parsed.to)


if __name__ == "__main__":
    main()
