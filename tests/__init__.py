"""The suite of crypto-archive."""
