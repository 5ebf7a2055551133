"""Keep a complete, proven and current copy of Binance's public data archive."""

__version__ = "0.1.0"
