"""Write a sample: ``python -m tests.archive.sample --to DIR --preset demo --last-day yesterday``."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from tests.archive.sample import SampleSpec, bulk, demo, small, write_sample


def _day(text: str) -> date:
    if text == "yesterday":
        return datetime.now(UTC).date() - timedelta(days=1)
    return date.fromisoformat(text)


def _specification(arguments: argparse.Namespace) -> SampleSpec:
    match arguments.preset:
        case "demo":
            return demo(arguments.last_day)
        case "bulk":
            return bulk(arguments.objects)
        case _:
            return small()


def main() -> None:
    """Parse the command line and write what it asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.archive.sample", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to write the bucket into")
    parser.add_argument("--preset", choices=("small", "demo", "bulk"), default="small")
    parser.add_argument("--last-day", type=_day, default="yesterday", help="demo: its last day, or 'yesterday' (UTC)")
    parser.add_argument("--objects", type=int, default=2_000, help="bulk: how many objects at least")
    parser.add_argument("--full-rows", action="store_true", help="as many rows as the archive's files have; slow")
    arguments = parser.parse_args()
    sample = write_sample(arguments.to, _specification(arguments), full_rows=arguments.full_rows)
    print(f"{len(sample.spec.objects)} objects in {sample.bucket}")


if __name__ == "__main__":
    main()
