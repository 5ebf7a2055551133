"""The matrix: what the archive can hold, as typed values loaded from a file."""

from __future__ import annotations

from crypto_archive.matrix.document import matrix_document, parse_matrix
from crypto_archive.matrix.loading import SEED_FILE_NAME, load_matrix
from crypto_archive.matrix.types import Header, Matrix, Row, Status, SymbolRule, TimeUnit

__all__ = [
    "SEED_FILE_NAME",
    "Header",
    "Matrix",
    "Row",
    "Status",
    "SymbolRule",
    "TimeUnit",
    "load_matrix",
    "matrix_document",
    "parse_matrix",
]
