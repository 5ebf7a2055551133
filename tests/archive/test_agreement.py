"""The package's matrix and the sample's own tables were written down apart from each other; they must say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto_archive.catalog.matrix import Header, Status, TimeUnit
from crypto_archive.catalog.matrix_file import load_matrix
from crypto_archive.model import Market
from tests.archive.sample import small
from tests.archive.sample.schemas import PUBLISHED, Published, has_header, ticks_per_millisecond

if TYPE_CHECKING:
    from crypto_archive.catalog.matrix import Matrix


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    return load_matrix()


def test_the_matrix_publishes_what_the_sample_holds(matrix: Matrix) -> None:
    published = {
        (row.market, row.data_type) for row in matrix.rows if row.status in (Status.ACTIVE, Status.DISCONTINUED)
    }
    assert published == set(PUBLISHED)


@pytest.mark.parametrize("expected", PUBLISHED.values(), ids=lambda row: f"{row.market}-{row.data_type}")
def test_each_row_has_the_same_schema_partitions_and_intervals(matrix: Matrix, expected: Published) -> None:
    row = matrix.row(expected.market, expected.data_type)
    assert row is not None
    assert ",".join(row.columns) == expected.columns
    assert set(row.partitions) == set(expected.partitions)
    for partition in expected.partitions:
        assert set(row.intervals(partition)) == set(expected.intervals(partition))
    assert row.first_date is not None
    assert row.first_date <= expected.day <= (row.last_date or expected.day)


def test_the_matrix_knows_every_key_of_the_sample(matrix: Matrix) -> None:
    for item in small().objects:
        found = matrix.object_of(item.key)
        assert found is not None, item.key
        assert found.key == item.key
        assert (found.series.market, found.series.data_type) == (item.market, item.data_type)
        assert (found.series.symbol, found.series.interval) == (item.symbol, item.interval)
        assert found.period == item.period


def test_the_matrix_says_which_files_have_a_header(matrix: Matrix) -> None:
    for item in small().objects:
        row = matrix.row(item.market, item.data_type)
        assert row is not None
        since_2022 = row.header is Header.SINCE_2022 and item.period.first_day.year >= 2022
        expected = has_header(item.market, item.period.first_day)
        assert (row.header is Header.ALWAYS or since_2022) is expected, item.key


def test_the_matrix_says_which_files_count_in_microseconds(matrix: Matrix) -> None:
    for item in small().objects:
        row = matrix.row(item.market, item.data_type)
        assert row is not None
        micro = row.time_unit is TimeUnit.MICROSECONDS_SINCE_2025 and item.period.first_day.year >= 2025
        assert micro is (ticks_per_millisecond(item.market, item.period.first_day) == 1000), item.key
        assert (row.time_unit is TimeUnit.MICROSECONDS_SINCE_2025) is (item.market is Market.SPOT)
