"""``python -m crypto_archive`` and the console script."""

from __future__ import annotations

import gc
import sys

GARBAGE = 100_000
"""How many objects more than before make the collector look for cycles. Ours hardly ever form any, and looking through
a plan's objects again and again takes a tenth of a run."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(GARBAGE)
    try:
        from crypto_archive.cli.app import run

        run()
    except KeyboardInterrupt:  # while the modules are loaded
        sys.exit(130)
    finally:
        gc.freeze()  # what is left goes with the process; the interpreter would look through all of it twice


if __name__ == "__main__":
    main()
