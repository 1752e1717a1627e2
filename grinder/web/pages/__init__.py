"""The pages of the dashboard.

Law: a page shows what the API answers and asks nothing else.  Its routes are rows of the same table: the
shell and its files are public and say nothing; every figure is behind the role of a viewer.
"""

from grinder.web.pages.routes import HOME, ROUTES

__all__ = ["HOME", "ROUTES"]
