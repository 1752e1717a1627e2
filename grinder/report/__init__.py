"""Reports: one run as one page that opens anywhere, with or without a network.

Law: a report shows what the views and the ledger hold and decides nothing.  Figures are the views' own exact
texts; a float exists only as the place of a point on a chart.
"""

from __future__ import annotations

from grinder.report.writing import write_report

__all__ = ["write_report"]
