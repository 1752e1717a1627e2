"""The report in a real browser: its scripts run, its charts are drawn."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from grinder.report import write_report
from grinder.run_folder import RunFolder

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here to open the page with"),
]

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--virtual-time-budget=20000",
    "--window-size=1280,2000",
    "--dump-dom",
)


@pytest.mark.parametrize(("run", "charts"), [("two_symbols", 6), ("without_fills", 3)])
def test_a_browser_draws_every_chart_without_an_error(
    run: str, charts: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder: RunFolder = request.getfixturevalue(run)
    path = tmp_path / "report.html"
    write_report(folder, path)
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    root = re.search(r"<html[^>]*>", done.stdout)
    assert root is not None
    assert f'data-drawn="{charts}"' in root.group(), done.stderr[-2000:]
    assert "data-errors" not in root.group()
    # Chromium writes what the page logs and what its policy refused as CONSOLE lines.
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert done.stdout.count('class="main-svg"') >= charts
    assert len(re.findall(r'class="js-line" d="M[^"]{20}', done.stdout)) >= 3
    assert 'data-title="Share' not in done.stdout, "a button that would send the chart to a server"
    if run == "two_symbols":
        assert len(re.findall(r'<path class="point', done.stdout)) > 50
