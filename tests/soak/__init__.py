"""Hundreds of rounds on the worst of days, and with files that are spoilt, never part of the tests: ``make soak``."""
