"""A run as a page: what it learned, what it cost, and one lesson in full."""

from alive.report.page import REPORT, render_report

__all__ = ["REPORT", "render_report"]
