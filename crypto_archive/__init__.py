"""Keep a complete, proven and current copy of Binance's public data archive."""

from crypto_archive.version import __version__ as __version__
