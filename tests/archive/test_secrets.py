"""Signed access: what AWS's settings hold goes to s5cmd alone, and stands in no file, message or report of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.archive.proxy import Status
from tests.archive.results import KEYS, ROOT, THREE, assert_same_bytes, preset

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archive.proxy import FaultProxy
    from tests.archive.running import Runner
    from tests.archive.served import Archive

MARKERS = ("AKIAMARKERMARKER", "marker-secret-key", "marker-session-token")


def assert_kept_secret(run: Runner, *said: str) -> None:
    """No marker in anything that was said or written below the current folder."""
    texts = [*said, *(path.read_bytes().decode("latin-1") for path in run.folder.rglob("*") if path.is_file())]
    assert len(texts) > len(said)
    assert not [marker for marker in MARKERS for text in texts if marker in text]


@pytest.mark.parametrize("way", ["file", "environment"])
def test_credentials_reach_only_s5cmd(
    run: Runner, proxy: FaultProxy, archive: Archive, tmp_path: Path, way: str
) -> None:
    proxy.fault("GET", f"{KEYS[1]}*", Status(403))
    key, secret, token = MARKERS
    credentials = tmp_path / "credentials"
    credentials.write_text(
        f"[mine]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\naws_session_token = {token}\n", "utf-8"
    )
    signed = run.at(proxy.endpoint_url)
    arguments = ["--profile=mine", f"--credentials-file={credentials}"]
    if way == "environment":
        signed = signed.with_environment(
            AWS_SHARED_CREDENTIALS_FILE=credentials,
            AWS_ACCESS_KEY_ID=key,
            AWS_SECRET_ACCESS_KEY=secret,
            AWS_SESSION_TOKEN=token,
        )
        del arguments[1]
    words = ", ".join(f"'{argument}'" for argument in arguments)
    code, stdout, stderr = signed(
        "collect",
        *THREE,
        "-o",
        ROOT,
        "-vv",
        "--log-file",
        run.folder / "log.jsonl",
        "-p",
        preset(tmp_path, f"s5cmd_extra_args: [{words}]\n"),
    )
    assert code == 3, stderr
    assert "AccessDenied" in stderr
    assert_same_bytes(run.folder / ROOT, archive.bucket, (KEYS[0], KEYS[2]))
    assert "s5cmd: " in stderr
    assert "--credentials-file" in (run.folder / "log.jsonl").read_text("utf-8") or way == "environment"
    assert_kept_secret(run, stdout, stderr)


def test_a_missing_profile_is_reported(run: Runner, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    text = f"s5cmd_extra_args: ['--profile=mine', '--credentials-file={empty}']\n"
    code, _, stderr = run("collect", *THREE, "-o", ROOT, "-p", preset(tmp_path, text))
    assert code == 5
    assert "denies the listing: SharedCredsLoad: failed to get profile" in stderr
