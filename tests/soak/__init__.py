"""Hundreds of rounds of ``collect`` on the worst of days, never part of the test suite: ``make soak``."""
