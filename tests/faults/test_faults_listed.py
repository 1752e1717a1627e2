"""Every fault of the list is injected by a test that is named, or the documents say why it is not."""

from __future__ import annotations

import csv
import re

from live_runs import REPO

TABLE = REPO / "docs" / "traceability.csv"
DOCUMENT = REPO / "docs" / "faults.md"
NOT_INJECTED = "## Not injected here"

LISTED = [f"F{number:02}" for number in (*range(1, 42), *range(46, 59))]


def named() -> dict[str, list[str]]:
    """Tests by the id they show."""
    found: dict[str, list[str]] = {}
    with TABLE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["id"], []).append(row["test"])
    return found


def excused() -> dict[str, str]:
    """Faults the document says no test injects, with the reason."""
    _, heading, rest = DOCUMENT.read_text(encoding="utf-8").partition(NOT_INJECTED)
    section = re.split(r"^## ", rest, flags=re.MULTILINE)[0] if heading else ""
    return {
        fault: reason.strip()
        for fault, reason in re.findall(r"^\|\s*(F\d\d)\s*\|\s*(.*?)\s*\|\s*$", section, flags=re.MULTILINE)
    }


def described() -> set[str]:
    """Faults the document says what is done about."""
    return set(re.findall(r"^\|\s*(F\d\d)\s*\|", DOCUMENT.read_text(encoding="utf-8"), flags=re.MULTILINE))


def test_every_fault_has_a_test_or_a_reason_why_not() -> None:
    tests, reasons = named(), excused()
    missing = [fault for fault in LISTED if not tests.get(fault) and not reasons.get(fault)]
    assert not missing, f"without a test in {TABLE.name} or a reason in {DOCUMENT.name}: {missing}"


def test_nothing_is_both_injected_and_excused() -> None:
    assert not set(named()) & set(excused())


def test_the_document_describes_every_fault() -> None:
    assert sorted(set(LISTED) - described()) == []


def test_a_reason_is_a_sentence() -> None:
    assert [fault for fault, reason in excused().items() if len(reason.split()) < 5] == []
