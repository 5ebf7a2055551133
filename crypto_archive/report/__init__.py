"""Folds of events into reports, and their renderers: the only place that knows Rich.

Rich is loaded when something is drawn with it: ``terminal`` and ``tables`` are imported by name where they are needed.
"""

from crypto_archive.report.checks import VerifyReport
from crypto_archive.report.fold import Report
from crypto_archive.report.journal import event_line
from crypto_archive.report.markdown import matrix_markdown
from crypto_archive.report.progress import Mode, Progress, check_progress, progress

__all__ = ["Mode", "Progress", "Report", "VerifyReport", "check_progress", "event_line", "matrix_markdown", "progress"]
