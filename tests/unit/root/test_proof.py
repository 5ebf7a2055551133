"""Every kind of evidence leads to its verdict, with a reason that names it."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from crypto_archive.model import ManifestEntry, RemoteStat, Verdict
from crypto_archive.root.proof import Digest, check_stored, parse_sidecar, prove, settled, with_md5
from crypto_archive.root.store import Root
from tests.zips import spoilt, zip_of

NAME = "BTCUSDT-1h-2025-07-15.zip"
KEY = f"data/spot/daily/klines/BTCUSDT/1h/{NAME}"
CONTENT = zip_of(NAME)
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
OTHER = "0123456789ab" + "0" * 52
NOW = datetime(2025, 7, 16, tzinfo=UTC)


def remote(size: int = len(CONTENT), etag: str = MD5) -> RemoteStat:
    return RemoteStat(size, etag, NOW)


def entry(verdict: Verdict = Verdict.OK, *, sha256: str = SHA256, size: int = len(CONTENT)) -> ManifestEntry:
    return ManifestEntry(KEY, size, sha256, verdict, "", None, NOW, "run")


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    path = tmp_path / "staged"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = Root(tmp_path)
    root.file(KEY).parent.mkdir(parents=True)
    root.file(KEY).write_bytes(CONTENT)
    return root


def sidecar(folder: Path, text: str) -> Path:
    path = folder / "sidecar"
    path.write_text(text, encoding="utf-8")
    return path


def put_sidecar(root: Root, text: str) -> None:
    Path(f"{root.file(KEY)}.CHECKSUM").write_text(text, encoding="utf-8")


@pytest.mark.parametrize("listing", [None, remote(), remote(etag="0" * 32), remote(etag=MD5 + "-2")])
def test_a_sidecar_that_agrees_is_proof(fetched: Path, tmp_path: Path, listing: RemoteStat | None) -> None:
    proof = prove(fetched, sidecar(tmp_path, f"{SHA256}  {NAME}"), NAME, listing)
    assert proof.verdict is Verdict.OK
    in_parts = listing is not None and "-" in listing.etag  # of which an MD5 says nothing
    assert proof.digest == Digest(SHA256, "" if in_parts else MD5, len(CONTENT))
    assert with_md5(proof.digest, fetched) == Digest(SHA256, MD5, len(CONTENT))
    assert proof.reason == "SHA-256 as in the sidecar"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"{OTHER}  {NAME}\n", f"SHA-256 is {SHA256[:12]}…, the sidecar says 0123456789ab…"),
        (f"{SHA256}  ETHUSDT-1h-2025-07-15.zip\n", "the sidecar names another file: ETHUSDT-1h-2025-07-15.zip"),
        ("oops", "malformed sidecar: expected 64 hexadecimal digits and a file name, found 'oops'"),
        ("", "malformed sidecar: expected 64 hexadecimal digits and a file name, found ''"),
    ],
)
def test_a_sidecar_that_does_not_agree_makes_bytes_corrupt(
    fetched: Path, tmp_path: Path, text: str, reason: str
) -> None:
    proof = prove(fetched, sidecar(tmp_path, text), NAME, remote())
    assert (proof.verdict, proof.reason) == (Verdict.CORRUPT, reason)


@given(
    name=st.from_regex(r"[A-Z0-9币安_]{1,12}-1h-2025-07-1[0-9]\.zip", fullmatch=True),
    other=st.none() | st.just("other.zip"),
    digest=st.sampled_from([SHA256, SHA256.upper(), OTHER, SHA256[1:]]),
    between=st.sampled_from([" ", "  ", "\t", " *", "  ./", ""]),
    around=st.tuples(*[st.sampled_from(["", "\n", "\r\n", " ", "\ufeff"])] * 2),
)
def test_a_sidecar_says_what_its_parser_reads(
    name: str, other: str | None, digest: str, between: str, around: tuple[str, str]
) -> None:
    """Also where its bytes are compared at a glance."""
    text = f"{around[0]}{digest}{between}{other or name}{around[1]}"
    try:
        lines = [line for line in parse_sidecar(text) if line.is_of(name)]
        verdict = Verdict.OK if any(line.digest == SHA256 for line in lines) else Verdict.SIDECAR_STALE
        expected = verdict if lines else Verdict.SIDECAR_MALFORMED
    except ValueError:
        expected = Verdict.SIDECAR_MALFORMED
    with tempfile.TemporaryDirectory() as folder:
        zipped = Path(folder, "staged")
        zipped.write_bytes(CONTENT)
        assert prove(zipped, sidecar(Path(folder), text), name, None).sidecar is expected


@pytest.mark.parametrize("name", [f"./{NAME}", f"data\\klines\\{NAME}"])
def test_a_folder_in_a_sidecar_does_not_matter(fetched: Path, tmp_path: Path, name: str) -> None:
    assert prove(fetched, sidecar(tmp_path, f"{SHA256} *{name}"), NAME, None).verdict is Verdict.OK


def test_a_size_that_is_not_listed_makes_bytes_corrupt(fetched: Path, tmp_path: Path) -> None:
    proof = prove(fetched, sidecar(tmp_path, f"{SHA256}  {NAME}"), NAME, remote(size=99))
    assert (proof.verdict, proof.reason) == (Verdict.CORRUPT, f"has {SIZE} bytes, the listing says 99")


def test_bytes_of_another_size_than_an_upload_in_parts_have_their_md5(fetched: Path, tmp_path: Path) -> None:
    """If the archive has replaced them, that is recorded in place of an ETag."""
    proof = prove(fetched, sidecar(tmp_path, f"{SHA256}  {NAME}"), NAME, remote(99, MD5 + "-2"))
    assert (proof.sidecar, proof.as_listed, proof.digest.md5) == (Verdict.OK, False, MD5)


@pytest.mark.parametrize("etag", [True, False])
def test_a_large_file_is_proven_as_a_small_one(fetched: Path, tmp_path: Path, etag: bool) -> None:
    content = zip_of(NAME, "1,2\n" * 100_000, zipfile.ZIP_STORED)
    fetched.write_bytes(content)
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()
    listing = remote(len(content), md5 if etag else "0-2")
    right = sidecar(tmp_path, f"{sha256}  {NAME}")
    proof = prove(fetched, right, NAME, listing)
    assert (proof.verdict, proof.as_listed) == (Verdict.OK, True if etag else None)
    assert proof.digest == Digest(sha256, md5 if etag else "", len(content))
    assert with_md5(proof.digest, fetched).md5 == md5
    assert prove(fetched, right, "other.zip", listing).sidecar is Verdict.SIDECAR_MALFORMED
    fetched.write_bytes(spoilt(content))
    assert prove(fetched, right, NAME, listing).sidecar is Verdict.SIDECAR_STALE
    expected = Verdict.CORRUPT, "the zip is broken: Bad CRC-32 for file 'BTCUSDT-1h-2025-07-15.csv'; no sidecar"
    without = prove(fetched, None, NAME, None)
    assert (without.verdict, without.reason.partition(" and")[0]) == expected


@pytest.mark.parametrize(
    ("listing", "verdict", "reason"),
    [
        (None, Verdict.UNPROVEN, "no sidecar and no listing to verify it"),
        (remote(), Verdict.SIDECAR_MISSING, "no sidecar; size and MD5 as in the listing"),
        (remote(etag=MD5.upper()), Verdict.SIDECAR_MISSING, "no sidecar; size and MD5 as in the listing"),
        (remote(etag=MD5 + "-2"), Verdict.UNPROVEN, "no sidecar; size as in the listing"),
        (remote(etag=""), Verdict.UNPROVEN, "no sidecar; size as in the listing"),
        (remote(size=1), Verdict.CORRUPT, f"has {SIZE} bytes, the listing says 1"),
        (remote(etag="0" * 32), Verdict.CORRUPT, f"MD5 is {MD5[:12]}…, the listing says 000000000000…"),
    ],
)
def test_without_a_sidecar_the_listing_speaks(
    fetched: Path, listing: RemoteStat | None, verdict: Verdict, reason: str
) -> None:
    proof = prove(fetched, None, NAME, listing)
    assert (proof.verdict, proof.reason) == (verdict, reason)


BROKEN = {"a page": b"<html>", "empty": b"", "spoilt inside": spoilt(CONTENT)}


@pytest.mark.parametrize(
    ("content", "listing", "verdict"),
    [
        (BROKEN["a page"], True, Verdict.BAD_ZIP),
        (BROKEN["empty"], True, Verdict.BAD_ZIP),
        (BROKEN["spoilt inside"], True, Verdict.BAD_ZIP),
        (BROKEN["a page"], False, Verdict.CORRUPT),
        (BROKEN["spoilt inside"], False, Verdict.CORRUPT),
    ],
)
def test_without_a_sidecar_a_zip_is_read_to_its_end(
    fetched: Path, content: bytes, listing: bool, verdict: Verdict
) -> None:
    """The archive is at fault only where the bytes are known to be its own."""
    fetched.write_bytes(content)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    proof = prove(fetched, None, NAME, remote(len(content), md5) if listing else None)
    assert proof.verdict is verdict
    assert proof.reason.startswith("the zip is broken: ")


@pytest.mark.parametrize("listing", [None, remote()])
def test_a_page_with_its_own_checksum_is_a_bad_zip(fetched: Path, tmp_path: Path, listing: RemoteStat | None) -> None:
    page = b"<html>".ljust(SIZE)
    fetched.write_bytes(page)
    proof = prove(fetched, sidecar(tmp_path, f"{hashlib.sha256(page).hexdigest()}  {NAME}"), NAME, listing)
    assert (proof.verdict, proof.reason) == (
        Verdict.BAD_ZIP, "the zip is broken: File is not a zip file; SHA-256 as in the sidecar",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"{SHA256}  {NAME}", Verdict.OK),
        (SHA256, Verdict.OK),
        (f"{OTHER}  other.zip\n{SHA256}  {NAME}\n", Verdict.OK),
        (f"{SHA256}  {NAME}\n{OTHER}  other.zip\n", Verdict.OK),
        (OTHER, Verdict.SIDECAR_STALE),
        (f"{OTHER}  {NAME}", Verdict.SIDECAR_STALE),
        (f"{SHA256}  other.zip\n{OTHER}  {NAME}\n", Verdict.SIDECAR_STALE),
        (f"\ufeff{SHA256}  {NAME}", Verdict.SIDECAR_MALFORMED),
        ("<html>", Verdict.SIDECAR_MALFORMED),
        ("", Verdict.SIDECAR_MALFORMED),
        (f"{SHA256}  other.zip", Verdict.SIDECAR_MALFORMED),
    ],
)
def test_bytes_that_are_the_archives_own_get_the_verdict_of_its_sidecar(
    fetched: Path, tmp_path: Path, text: str, verdict: Verdict
) -> None:
    proof = prove(fetched, sidecar(tmp_path, text), NAME, remote())
    assert proof.sidecar is verdict
    assert proof.verdict is (Verdict.OK if verdict is Verdict.OK else Verdict.CORRUPT)
    assert settled(proof, fetched, NAME).verdict is verdict
    assert proof.sidecar_etag == hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    fetched.write_bytes(spoilt(CONTENT))
    expected = Verdict.OK if verdict is Verdict.OK else Verdict.BAD_ZIP  # only its directory is looked at
    assert settled(proof, fetched, NAME).verdict is expected


@pytest.mark.parametrize(
    ("listing", "agrees"),
    [
        (None, None),
        (remote(), True),
        (remote(etag=MD5.upper()), True),
        (remote(etag=MD5 + "-2"), None),
        (remote(etag=""), None),
        (remote(etag="0" * 32), False),
    ],
)
def test_the_listing_is_recorded_only_where_it_does_not_contradict_the_bytes(
    fetched: Path, tmp_path: Path, listing: RemoteStat | None, agrees: bool | None
) -> None:
    proof = prove(fetched, sidecar(tmp_path, f"{SHA256}  {NAME}"), NAME, listing)
    assert (proof.verdict, proof.as_listed) == (Verdict.OK, agrees)
    assert proof.provenance(listing) == (None if agrees is False else listing)


def test_a_fetched_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        prove(tmp_path / "gone", None, NAME, None)


def test_a_stored_file_and_its_sidecar(root: Root) -> None:
    put_sidecar(root, f"{SHA256}  {NAME}")
    proof = check_stored(root, KEY, entry())
    assert (proof.verdict, proof.reason) == (Verdict.OK, "SHA-256 as in the sidecar")
    assert check_stored(root, KEY, None).verdict is Verdict.OK


@pytest.mark.parametrize("known", [None, entry()])
def test_a_stored_file_that_is_gone_is_missing(root: Root, known: ManifestEntry | None) -> None:
    root.file(KEY).unlink()
    proof = check_stored(root, KEY, known)
    assert (proof.verdict, proof.reason) == (Verdict.MISSING, "the file does not exist")
    assert proof.digest == Digest("", "", 0)


def test_a_root_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert check_stored(Root(tmp_path / "none"), KEY, entry()).verdict is Verdict.MISSING


def test_a_folder_in_its_place_is_missing(root: Root) -> None:
    root.file(KEY).unlink()
    root.file(KEY).mkdir()
    proof = check_stored(root, KEY, None)
    assert (proof.verdict, proof.reason) == (Verdict.MISSING, "it is not a regular file")


@pytest.mark.parametrize("known", [None, entry(sha256=OTHER), entry(Verdict.SIDECAR_STALE, sha256=OTHER)])
def test_stored_bytes_that_differ_from_the_sidecar_are_corrupt(root: Root, known: ManifestEntry | None) -> None:
    put_sidecar(root, f"{OTHER}  {NAME}")
    proof = check_stored(root, KEY, known)
    assert proof.verdict is Verdict.CORRUPT
    assert proof.reason == f"SHA-256 is {SHA256[:12]}…, the sidecar says 0123456789ab…"


def test_a_sidecar_that_changed_under_known_bytes_is_reported(root: Root) -> None:
    put_sidecar(root, f"{OTHER}  {NAME}")
    proof = check_stored(root, KEY, entry())
    assert proof.verdict is Verdict.CORRUPT
    assert proof.reason.endswith("the sidecar says 0123456789ab…; the manifest says the same as the file")


@pytest.mark.parametrize("text", [f"{OTHER}  {NAME}", "malformed"])
def test_a_stale_sidecar_stays_stale_as_long_as_the_bytes_do(root: Root, text: str) -> None:
    put_sidecar(root, text)
    assert check_stored(root, KEY, entry(Verdict.SIDECAR_STALE)).verdict is Verdict.SIDECAR_STALE
    root.file(KEY).write_bytes(b"bit rot of sorts".ljust(SIZE))
    assert check_stored(root, KEY, entry(Verdict.SIDECAR_STALE)).verdict is Verdict.CORRUPT


def test_a_run_killed_before_it_recorded_leaves_a_sound_file(root: Root) -> None:
    put_sidecar(root, f"{SHA256}  {NAME}")
    assert check_stored(root, KEY, entry(sha256=OTHER, size=5)).verdict is Verdict.OK


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.SIDECAR_MISSING, Verdict.UNPROVEN, Verdict.SIDECAR_STALE])
def test_without_a_sidecar_the_manifest_speaks(root: Root, verdict: Verdict) -> None:
    proof = check_stored(root, KEY, entry(verdict))
    assert (proof.verdict, proof.reason) == (verdict, "SHA-256 as in the manifest")


def test_without_a_sidecar_other_bytes_are_corrupt(root: Root) -> None:
    proof = check_stored(root, KEY, entry(sha256=OTHER))
    assert proof.verdict is Verdict.CORRUPT
    assert proof.reason == f"SHA-256 is {SHA256[:12]}…, the manifest says 0123456789ab…"


def test_another_size_is_corrupt_without_reading(root: Root) -> None:
    proof = check_stored(root, KEY, entry(size=5))
    assert (proof.verdict, proof.reason) == (Verdict.CORRUPT, f"has {SIZE} bytes, the manifest says 5")
    assert proof.digest.sha256 == ""


def test_a_file_that_no_record_knows_is_unproven(root: Root) -> None:
    proof = check_stored(root, KEY, None)
    assert proof.verdict is Verdict.UNPROVEN
    assert proof.reason == "neither a sidecar nor the manifest has its SHA-256"
    assert proof.digest.size == len(CONTENT)


def test_a_file_that_cannot_be_read_is_corrupt(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("crypto_archive.root.proof.os.read", refuse)
    proof = check_stored(root, KEY, None)
    assert (proof.verdict, proof.reason) == (Verdict.CORRUPT, "cannot be read: Input/output error")


def test_a_key_that_leads_out_of_the_root_is_refused(root: Root) -> None:
    with pytest.raises(ValueError, match="not a plain path"):
        check_stored(root, "data/../../etc/passwd", None)


def test_bytes_that_are_known_to_lack_rows_have_gaps_even_with_a_sidecar(root: Root) -> None:
    assert check_stored(root, KEY, entry(Verdict.GAPS)).verdict is Verdict.GAPS
    put_sidecar(root, f"{SHA256}  {NAME}")
    assert check_stored(root, KEY, entry(Verdict.GAPS)).verdict is Verdict.GAPS


def test_other_bytes_than_those_with_gaps_have_none(root: Root) -> None:
    put_sidecar(root, f"{SHA256}  {NAME}")
    assert check_stored(root, KEY, entry(Verdict.GAPS, sha256=OTHER)).verdict is Verdict.OK


@pytest.mark.parametrize("verdict", [Verdict.SIDECAR_STALE, Verdict.SIDECAR_MALFORMED, Verdict.BAD_ZIP])
def test_known_faults_of_the_archive_stay_what_they_are(root: Root, verdict: Verdict) -> None:
    put_sidecar(root, f"{OTHER}  {NAME}")
    assert check_stored(root, KEY, entry(verdict)).verdict is verdict


@pytest.mark.parametrize("known", [None, entry(), entry(Verdict.GAPS)])
def test_a_stored_page_with_its_own_checksum_is_a_bad_zip(root: Root, known: ManifestEntry | None) -> None:
    page = b"<html>".ljust(SIZE)
    root.file(KEY).write_bytes(page)
    put_sidecar(root, f"{hashlib.sha256(page).hexdigest()}  {NAME}")
    assert check_stored(root, KEY, known).verdict is Verdict.BAD_ZIP


@pytest.mark.parametrize("verdict", [Verdict.SIDECAR_STALE, Verdict.SIDECAR_MISSING, Verdict.UNPROVEN])
def test_what_has_no_matching_sidecar_is_read_to_its_end(root: Root, verdict: Verdict) -> None:
    """Also where an earlier version recorded it without looking."""
    content = spoilt(CONTENT)
    root.file(KEY).write_bytes(content)
    if verdict is Verdict.SIDECAR_STALE:
        put_sidecar(root, f"{OTHER}  {NAME}")
    proof = check_stored(root, KEY, entry(verdict, sha256=hashlib.sha256(content).hexdigest()))
    assert proof.verdict is Verdict.BAD_ZIP


def test_a_broken_zip_that_nothing_knows_may_be_cured_by_a_download(root: Root) -> None:
    root.file(KEY).write_bytes(b"<html>")
    proof = check_stored(root, KEY, None)
    assert proof.verdict is Verdict.CORRUPT
    assert proof.reason == (
        "the zip is broken: File is not a zip file; neither a sidecar nor the manifest has its SHA-256"
    )


@pytest.mark.parametrize("with_sidecar", [True, False])
def test_a_record_of_other_bytes_than_the_listed_ones_is_found(root: Root, with_sidecar: bool) -> None:
    """Earlier versions adopted an older file of the same size with the ETag of the newer one."""
    if with_sidecar:
        put_sidecar(root, f"{SHA256}  {NAME}")
    known = entry()._replace(etag="0" * 32, last_modified=NOW)
    proof = check_stored(root, KEY, known)
    assert proof.verdict is Verdict.CORRUPT
    assert proof.reason == f"MD5 is {MD5[:12]}…, that of the archive's object was 000000000000…"
    for right in (MD5, MD5.upper(), MD5 + "-2", ""):
        assert check_stored(root, KEY, known._replace(etag=right)).verdict is Verdict.OK


@pytest.mark.parametrize("listing", [None, remote(), remote(etag=MD5 + "-2")])
@pytest.mark.parametrize("known", [None, entry(), entry()._replace(etag=MD5, last_modified=NOW)])
def test_an_md5_is_taken_where_it_can_be_compared(
    root: Root, known: ManifestEntry | None, listing: RemoteStat | None
) -> None:
    compared = known is None or known.etag == MD5 or (listing is not None and listing.etag == MD5)
    assert check_stored(root, KEY, known, listing).digest == Digest(SHA256, MD5 if compared else "", SIZE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_is_no_file_is_neither_read_nor_waited_for(root: Root) -> None:
    sidecar_path = Path(f"{root.file(KEY)}.CHECKSUM")
    os.mkfifo(sidecar_path)
    assert check_stored(root, KEY, entry()).reason == "SHA-256 as in the manifest"
    sidecar_path.unlink()
    sidecar_path.symlink_to(sidecar_path)
    assert check_stored(root, KEY, entry()).reason == "SHA-256 as in the manifest"
    root.file(KEY).unlink()
    os.mkfifo(root.file(KEY))
    proof = check_stored(root, KEY, entry())
    assert (proof.verdict, proof.reason) == (Verdict.MISSING, "it is not a regular file")
    root.file(KEY).unlink()
    root.file(KEY).symlink_to(root.file(KEY))
    proof = check_stored(root, KEY, entry())
    assert (proof.verdict, proof.reason) == (Verdict.MISSING, "the file does not exist")
