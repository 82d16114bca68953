"""A run as a page: what it learned, what it cost, and one lesson in full."""

from alive.report.gather import read_run
from alive.report.page import REPORT, render_report
from alive.report.verdicts import verdicts

__all__ = ["REPORT", "read_run", "render_report", "verdicts"]
