"""A small, deterministic sample of the archive, generated into a folder that is laid out as a bucket.

    sample = write_sample(tmp_path, small())
    replace(sample.bucket, key)

Content, zip bytes and time stamps depend on the key alone.
"""

from __future__ import annotations

from tests.archive.sample.objects import BUCKET, SampleObject, days, of_days, of_months
from tests.archive.sample.presets import (
    DEFECTS,
    NON_ASCII,
    SMALL_FIRST_DAY,
    SMALL_LAST_DAY,
    UNPADDED_MONTH,
    UNUSUAL_SYMBOLS,
    bulk,
    demo,
    small,
)
from tests.archive.sample.writing import SIDECAR, Defect, Sample, SampleSpec, put, replace, sidecar_bytes, write_sample

__all__ = [
    "BUCKET",
    "DEFECTS",
    "NON_ASCII",
    "SIDECAR",
    "SMALL_FIRST_DAY",
    "SMALL_LAST_DAY",
    "UNPADDED_MONTH",
    "UNUSUAL_SYMBOLS",
    "Defect",
    "Sample",
    "SampleObject",
    "SampleSpec",
    "bulk",
    "days",
    "demo",
    "of_days",
    "of_months",
    "put",
    "replace",
    "sidecar_bytes",
    "small",
    "write_sample",
]
