"""Requests as the command line makes them: its options have names of their own, and standard input may be read."""

from __future__ import annotations

from functools import partial

from crypto_archive.cli.options import flag_of
from crypto_archive.config import load

load_run_config = partial(load.load_run_config, named=flag_of, standard_input=True)
