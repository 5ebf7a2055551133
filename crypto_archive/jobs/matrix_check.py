"""Check the matrix against the archive: which type folders the bucket lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_archive.catalog.matrix import Status
from crypto_archive.model import Partition
from crypto_archive.s5cmd.binary import find_binary
from crypto_archive.s5cmd.listing import list_folders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crypto_archive.catalog.matrix import Matrix, Row
    from crypto_archive.config.run_config import Access

LISTED = {Status.ACTIVE, Status.DISCONTINUED}
"""The statuses of rows whose objects are in the bucket."""


@dataclass(frozen=True, slots=True)
class TypeFolder:
    """A folder of one data type and partition.

    Attributes:
        folder: The prefix, such as ``data/spot/daily/klines/``.
        in_matrix: Whether the matrix has it.
        in_archive: Whether the bucket lists it.
    """

    folder: str
    in_matrix: bool
    in_archive: bool

    @property
    def agrees(self) -> bool:
        """Whether matrix and archive agree."""
        return self.in_matrix == self.in_archive


def check_matrix(matrix: Matrix, access: Access) -> Iterator[TypeFolder]:
    """Yield every type folder that the matrix or the bucket has, market by market.

    Raises:
        S5cmdUnusable: No usable s5cmd was found.
        EndpointUnreachable: The listing failed.
    """
    binary = find_binary(access.s5cmd)
    expected = {folder for row in matrix.rows if row.status in LISTED for folder in _folders(row)}
    parents = dict.fromkeys(_parent(folder) for row in matrix.rows for folder in _possible_folders(row))
    for parent in parents:
        listed = {f"{parent}{name}/" for name in list_folders(binary, access, parent)}
        for folder in sorted(listed | {folder for folder in expected if _parent(folder) == parent}):
            yield TypeFolder(folder, folder in expected, folder in listed)


def _folders(row: Row) -> list[str]:
    return [row.key_pattern.symbols_prefix(partition) for partition in row.partitions]


def _possible_folders(row: Row) -> list[str]:
    return [row.key_pattern.symbols_prefix(partition) for partition in Partition]


def _parent(folder: str) -> str:
    return folder.removesuffix("/").rpartition("/")[0] + "/"
