"""Sidecars are read as the archive writes them, and digests are those of the standard library."""

from __future__ import annotations

import hashlib
import string
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from crypto_archive.root.proof import Sidecar, digest_file, parse_sidecar, read_sidecar, sidecar_etag

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "0123456789abcdef" * 4
NAME = "BTCUSDT-1h-2025-07-15.zip"

digests = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)
names = st.text(alphabet=string.ascii_letters + string.digits + "-_. 币安人生", min_size=1).filter(
    lambda name: name == name.strip()
)


@given(digest=digests, name=names, mark=st.sampled_from(["  ", " *", "\t"]), end=st.sampled_from(["", "\n", "\r\n"]))
def test_a_sidecar_reads_back_as_it_was_written(digest: str, name: str, mark: str, end: str) -> None:
    assert parse_sidecar(f"{digest}{mark}{name}{end}") == (Sidecar(digest, name),)


@given(digest=digests)
def test_uppercase_digits_are_fine(digest: str) -> None:
    assert parse_sidecar(f"{digest.upper()}  {NAME}") == (Sidecar(digest, NAME),)


@given(digest=digests)
def test_a_bare_digest_is_of_any_file(digest: str) -> None:
    assert parse_sidecar(f"{digest}\n") == (Sidecar(digest, None),)
    assert Sidecar(digest, None).is_of(NAME)


def test_a_sidecar_may_be_of_several_files() -> None:
    text = f"{'0' * 64}  other.zip\n{DIGEST} *./{NAME}\r\n\n"
    others, ours = parse_sidecar(text.replace("\n\n", "\n"))
    assert (others.is_of(NAME), ours.is_of(NAME)) == (False, True)


@given(st.text())
def test_any_text_is_a_sidecar_or_a_value_error(text: str) -> None:
    try:
        said = parse_sidecar(text)
    except ValueError:
        return
    assert said
    assert all(len(line.digest) == 64 for line in said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"\ufeff{DIGEST}  {NAME}",
        f"SHA256 ({NAME}) = {DIGEST}",
        f"{DIGEST[:-1]}  {NAME}",
        f"{DIGEST}0  {NAME}",
        f"{DIGEST}{NAME}",
        f"{DIGEST[:-1]}g  {NAME}",
        f"{DIGEST}  {NAME}\nand more\n",
        "<html>404 Not Found</html>",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected 64 hexadecimal digits and a file name, found '"):
        parse_sidecar(text)


def test_long_text_is_quoted_only_in_part() -> None:
    with pytest.raises(ValueError, match=r"found 'x{80}…'"):
        parse_sidecar("x" * 1000)


def test_a_sidecar_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.CHECKSUM"
    path.write_text(f"{DIGEST}  {NAME}", encoding="utf-8")
    assert read_sidecar(path) == (Sidecar(DIGEST, NAME),)


def test_a_sidecar_file_that_is_not_text_is_a_value_error(tmp_path: Path) -> None:
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"found '\\\\xff\\\\xfe"):
        read_sidecar(path)


def test_a_huge_sidecar_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    path.write_bytes(b"0" * 5000)
    with pytest.raises(ValueError, match="expected about 100 bytes, found more than 4096"):
        read_sidecar(path)


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_digests_at_the_edges_of_a_chunk(tmp_path: Path, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    path = tmp_path / "file"
    path.write_bytes(content)
    digest = digest_file(path)
    assert digest.sha256 == hashlib.sha256(content).hexdigest()
    assert digest.md5 == hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert digest.size == size


@pytest.mark.parametrize("content", [b"", b"a line\n", b"<html>" * 5000])
def test_the_etag_of_a_sidecar_is_its_md5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sidecar"
    path.write_bytes(content)
    assert sidecar_etag(path) == hashlib.md5(content, usedforsecurity=False).hexdigest()
