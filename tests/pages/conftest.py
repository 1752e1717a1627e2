"""Fixtures of the tests of the dashboard's pages."""

from dashboard_stage import finished, process, staged

__all__ = ["finished", "process", "staged"]
