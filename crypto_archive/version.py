"""The version of crypto-archive."""

__version__ = "0.1.0"
