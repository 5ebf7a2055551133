"""docs/migration.md has a place for each name of the older workflow, and what it promises in exchange is there."""

from __future__ import annotations

import importlib.util
import re

import pytest

import crypto_archive
from crypto_archive.config.fields import PRESET_FIELDS
from tests.docs.blocks import blocks
from tests.docs.commands import commands
from tests.docs.generated import DOCS

TEXT = (DOCS / "migration.md").read_text("utf-8")
OLDER = TEXT.partition("## The older workflow")[2].partition("## The official scripts")[0]

CLASSES = (
    "PrefectArchiveCollectionWorkflow", "WorkflowConfig", "workflow.execute()", "archive_collection_flow",
    "Deployment.build_from_flow", "BaseStorage", "CustomStorage", "get_partition_path", "workflow.storage",
    "MetricsCollector", "result['success_rate']", "result['collection_stats']", "total_size_bytes",
    "src.crypto_lakehouse.workflows.archive_collection_prefect", "src.crypto_lakehouse.core.config",
    "src.crypto_lakehouse.core.metrics", "src.crypto_lakehouse.storage.base", "0 6 * * *",
)  # fmt: skip
FIELDS = (
    "workflow_type", "matrix_path", "output_directory", "markets", "symbols", "data_types", "intervals", "date_range",
    "batch_size", "max_parallel_downloads", "enable_batch_mode", "enable_resume", "force_redownload",
    "download_checksum", "timeout_seconds", "part_size_mb", "s5cmd_extra_args",
)  # fmt: skip
WORDS = ("spot", "futures_um", "futures_cm", "options", "start", "end", "--no-sign-request", "--retry-count",
         "--numworkers", "premiumIndex")  # fmt: skip
FILES = (
    "enhanced_binance_archive_matrix.json", "research_config", "backtest_config", "pipeline_config",
    "enhanced-archive-collection.md", "archive-collection-api.md", "archive-collection-examples.md",
    "legacy-equivalents.md", "test_core_functionality.py", "test_enhanced_workflow_simple.py",
)  # fmt: skip
MESSAGES = (
    "Archive matrix file not found", "'invalid_market' is not a valid market type",
    "Download timeout or network error", "Permission denied writing to output directory",
)  # fmt: skip


@pytest.mark.parametrize("name", [*CLASSES, *FIELDS, *WORDS, *FILES, *MESSAGES])
def test_every_name_of_the_older_workflow_has_its_place(name: str) -> None:
    assert name in OLDER


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_one_still(field: str) -> None:
    assert field in PRESET_FIELDS
    assert re.search(rf"^\| (`\w+`, )*`{field}`", OLDER, re.MULTILINE)


def test_the_functions_that_are_named_are_there() -> None:
    for name in ("collect", "collect_async", "load_preset"):
        assert f"{name}(" in OLDER
        assert name in crypto_archive.__all__
    assert importlib.util.find_spec("crypto_archive.flows")


def test_the_options_that_are_named_are_there() -> None:
    options = {name for command in commands() for option in command.options for name in option.names}
    ours = [row.rpartition("| ")[2] for row in re.findall(r"^\| `.+\|.+$", TEXT, re.MULTILINE)]
    named = {name for cell in ours for name in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", cell)}
    assert len(named) > 10
    assert named - options <= {"--no-sign-request", "--retry-count", "--numworkers"}  # s5cmd's own


def test_variables_that_are_named_are_there() -> None:
    presets = (DOCS / "presets.md").read_text("utf-8")
    for variable in re.findall(r"CRYPTO_ARCHIVE_\w+", TEXT):
        assert f"`{variable}`" in presets


def test_every_old_command_has_one_of_ours_below_it() -> None:
    kinds = [block.kind for block in blocks(TEXT) if block.section in {"The official scripts", "aws s3 sync"}]
    assert kinds == ["text", "sh"] * 2
