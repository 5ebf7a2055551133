"""Which fields a variable can set: apart from the table of all fields, since the help of commands must load quickly."""

PREFIX = "CRYPTO_ARCHIVE_"

SET_BY_VARIABLE = frozenset({
    "matrix_path", "output_directory", "layout", "partition", "discover", "max_parallel_downloads", "timeout_seconds",
    "via", "endpoint_url", "download_url", "region", "bucket", "s5cmd", "stall_seconds", "listing_age_seconds",
    "keep_runs", "preset_dir",
})  # fmt: skip


def variable_of(field: str) -> str:
    """Return the environment variable of a field."""
    return PREFIX + field.upper()
