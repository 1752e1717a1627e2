"""What the run was made from, and how to check that it is what it says.

Law: the manifest as it stands; nothing is left out or made nicer, so the text can be run again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

import yaml

from grinder.report.elements import Html, number, pairs, plain, tag
from grinder.report.model import RunReport


def settings(report: RunReport) -> Iterator[Html]:
    """Origin, check and configuration."""
    manifest = report.manifest
    data = manifest.get("data", {})
    files = ", ".join(PurePath(name).name for name in data.get("arguments", []))
    yield tag("h2", "Origin and settings")
    entries = [
        ("Ledger", plain(manifest.get("ledger_id") or report.account.get("ledger_id") or "unknown")),
        ("Program", plain(f"grinder {manifest.get('program', 'of an unknown version')}")),
        ("Seed", plain(manifest.get("seed", "none"))),
        ("Data", plain(files or "unknown")),
        ("SHA-256 of the rows", tag("span", plain(data.get("sha256", "unknown")), "hash")),
        ("Records", number(report.position)),
        ("Chain head", tag("span", plain(report.head or "none"), "hash")),
        ("Check it", tag("code", plain(f"grinder verify RUN --head {report.head}"))),
    ]
    yield tag("section", pairs(entries), "card")
    config = manifest.get("config")
    if config is None:
        yield tag("p", "There is no manifest, so the configuration is not known.", "note")
        return
    shown = yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=100)
    head = "<summary>Configuration</summary>"
    yield Html(f'<details class="card" open>{head}<pre>{plain(shown)}</pre></details>')
