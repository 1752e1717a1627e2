"""The page as a whole, and writing it to a file.

Law: the file is whole or not there; whoever has the old page open keeps it until the new one is complete.
"""

from __future__ import annotations

from pathlib import Path

from grinder.errors import EnvironmentFault
from grinder.files import replace_file
from grinder.report.collect import collect
from grinder.report.page import page
from grinder.run_folder import RunFolder


def write_report(folder: RunFolder, html: Path) -> int:
    """Write a run's report as one file that needs no network; returns its size in bytes.

    The views are taken as they stand; bring them up to date first.

    Raises:
        LedgerError: there is no ledger, or it cannot be read.
        EnvironmentFault: the charting extra or the views are missing.
        OSError: the file cannot be written.
    """
    content = report_page(folder).encode()
    replace_file(html, content, alone=False)
    return len(content)


def report_page(folder: RunFolder) -> str:
    """A run's report as HTML that needs no network.

    Raises:
        As `write_report`, which writes it to a file.
    """
    plotly = _plotly()  # first: without it nothing has to be read
    return page(collect(folder), plotly)


def _plotly() -> str:
    """The charting script, from the installed package."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise EnvironmentFault(
            "env.extra_missing",
            "a report needs the charting extra, which is not installed",
            value="plotly",
            fix="pip install 'grinder[report]'",
        ) from error
    script: str = get_plotlyjs()
    return script
