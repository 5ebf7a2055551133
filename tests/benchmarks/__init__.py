"""Measurements, never part of the test suite: ``make bench``."""
