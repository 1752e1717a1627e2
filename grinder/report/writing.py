"""Writing the page.

Law: the file is whole or not there; whoever has the old page open keeps it until the new one is complete.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from grinder.errors import EnvironmentFault
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
    plotly = _plotly()
    content = page(collect(folder), plotly).encode()
    _replace(html, content)
    return len(content)


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


def _replace(target: Path, content: bytes) -> None:
    # Beside the target, so that renaming stays on one disk and cannot leave half a file.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
