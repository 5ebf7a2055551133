"""What the environment says: ``CRYPTO_ARCHIVE_*`` variables, and the same names in a ``.env`` file."""

from __future__ import annotations

import os
from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, SettingsConfigDict

from crypto_archive.config.preset import Bucket, EndpointUrl, FilePath, Jobs, ListingAge, Region, Seconds
from crypto_archive.errors import ConfigError, Problem, nearest
from crypto_archive.model import Notice
from crypto_archive.request import Discovery, Partitioning

PREFIX = "CRYPTO_ARCHIVE_"


class Settings(BaseSettings):
    """Settings of a machine or a user; an empty variable counts as unset.

    ``preset_dir`` is the folder of the user's own presets.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    endpoint_url: EndpointUrl | None = None
    region: Region | None = None
    bucket: Bucket | None = None
    s5cmd: FilePath | None = None
    output_directory: FilePath | None = None
    layout: str | None = None
    matrix_path: FilePath | None = None
    max_parallel_downloads: Jobs | None = None
    timeout_seconds: Seconds | None = None
    stall_seconds: Seconds | None = None
    partition: Partitioning | None = None
    discover: Discovery | None = None
    keep_runs: Annotated[int, Field(ge=1)] | None = None
    listing_age_seconds: ListingAge | None = None
    preset_dir: FilePath | None = None


def variables() -> tuple[dict[str, str], dict[str, str]]:
    """Return the settings as they are written, by field: those of the environment, and those of ``.env``.

    Raises:
        ConfigError: ``.env`` cannot be read.
    """
    try:
        dotenv = DotEnvSettingsSource(Settings)()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(".env", f"cannot be read: {error}")]) from None
    return _known(EnvSettingsSource(Settings)()), _known(dotenv)


def misspelt_variables() -> tuple[Notice, ...]:
    """Return a notice for each variable that looks like one of ours and is none."""
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    unknown = [name for name in sorted(os.environ) if name.upper().startswith(PREFIX) and name.upper() not in known]
    guesses = ((name, nearest(name, known)) for name in unknown)
    # The prefix alone makes any two names look alike, so what follows it has to be alike as well.
    return tuple(
        Notice(f"the environment variable {name} has no meaning; did you mean {guess}?")
        for name, guess in guesses
        if guess and nearest(name[len(PREFIX) :], [guess[len(PREFIX) :]])
    )


def _known(found: dict[str, object]) -> dict[str, str]:
    return {field: str(found[field]) for field in Settings.model_fields if found.get(field) is not None}
