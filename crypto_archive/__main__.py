"""``python -m crypto_archive`` and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from crypto_archive.cli.app import run

        run()
    except KeyboardInterrupt:  # while the modules are loaded
        sys.exit(130)


if __name__ == "__main__":
    main()
