"""The benchmarks of what is looked at run, and measure what they say: here on a ledger of a few records."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import auditing, dashboard, explaining, long_ledger, scrub, sockets


def spread(figures: dict[str, float]) -> bool:
    return 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]


def test_the_benchmark_of_scrubbing_asks_every_page_at_every_position(short: Path) -> None:
    found = scrub.measure(short, starts=1, positions=2)
    assert found["records"] == long_ledger.records_of(short) > 1_000
    assert found["scrubs"] == 2 * len(scrub.PAGES)
    assert all(spread(one) for one in (*found["pages"].values(), found["first_after_a_start"]))


def test_the_benchmark_of_explanations_measures_the_command_and_the_question(short: Path) -> None:
    found = explaining.measure(short, processes=1, questions=6)
    assert spread(found["in_a_program"])
    assert found["process"]["p50_ms"] > found["in_a_program"]["p50_ms"]


def test_the_benchmark_of_audits_passes_the_records_its_filters_name(short: Path) -> None:
    found = auditing.measure(short, rounds=1)
    assert found["type, every one"]["passed"] > 50
    assert found["type, newest hundred"]["passed"] <= 100
    assert found["caused by"]["passed"] >= 1
    assert spread(found["process, newest hundred"])


def test_the_benchmark_of_the_dashboard_sees_the_page_painted_before_its_figures(short: Path) -> None:
    found = dashboard.measure(short, starts=1, openings=2)
    assert found["bytes"] > 50_000
    assert spread(found["all_bytes_first_after_a_start"])
    if found["browser"] != "none":
        for name in ("first_after_a_start", "later"):
            painted, shown = found[name]["first_contentful_paint"], found[name]["figures_shown"]
            assert 0 < painted["p50_ms"] <= shown["p50_ms"]


def test_the_benchmark_of_sockets_tells_every_client_the_events_of_the_run() -> None:
    found = sockets.measure(rounds=1, clients=2, rate=4_000)
    assert found["no_server"]["orders"] == found["2_clients"]["orders"] > 100
    assert found["2_clients"]["events_told_in_all"] > found["2_clients"]["orders"]
    assert found["no_client"]["events_told_in_all"] == 0


def test_an_explanation_does_without_the_log(short: Path) -> None:
    asked = f"main(['explain', {str(short)!r}, '#500'], standalone_mode=False)"
    loaded = "import sys; assert 'grinder.inspection.records' in sys.modules"
    check = f"{loaded}; assert 'structlog' not in sys.modules"
    program = f"from grinder.cli import main; {asked}; {check}"
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_a_benchmark_prints_one_line_of_json(short: Path, tmp_path: Path) -> None:
    kept = tmp_path / f"long-{long_ledger.ROWS}"
    shutil.copytree(short, kept)
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", "audit"],
        env={"GRINDER_BENCH_FOLDER": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        check=True,
    )
    line: dict[str, Any] = json.loads(told.stdout)
    assert line["name"] == "audit"
    assert line["records"] == long_ledger.records_of(short)
