"""Requests as the command line makes them: its options have names of their own, and standard input may be read."""

from __future__ import annotations

from functools import partial

from crypto_archive import config
from crypto_archive.cli.options import flag_of

load_request = partial(config.load_request, named=flag_of, standard_input=True)
