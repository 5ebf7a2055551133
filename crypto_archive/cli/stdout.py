"""Standard output whose reader has gone, as the one of ``| head`` does."""

import os
import sys


def silence_stdout() -> None:
    """Send what is still to be written to nowhere, so that nothing fails on it, not even the end of the process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
