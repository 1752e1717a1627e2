"""Fixtures of the tests of the dashboard's pages."""

from dashboard_stage import finished, staged

__all__ = ["finished", "staged"]
