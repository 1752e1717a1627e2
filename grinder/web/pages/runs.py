"""Run folders beside a run: listed, compared, reported.

Law: a folder is named by its name alone and must lie beside the run; nothing outside is reached, and nothing
but views (which can always be made again) is written.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import yaml
from aiohttp import web

from grinder.errors import UserError
from grinder.run_folder import RunFolder
from grinder.views.store import open_views, update
from grinder.web.call import Call
from grinder.web.pages.asked import Asked, AskedCompare
from grinder.web.pages.charts import curve
from grinder.web.pages.rows import number, row, rows
from grinder.web.problems import Problem
from grinder.web.runs import ServedRun

MOST_FOLDERS: Final = 200
LARGEST_UPDATE: Final = 4_000_000
"""Records; views of a larger ledger are not made while a page waits."""

REPORT_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; sandbox allow-scripts allow-downloads"
)
"""The report carries its scripts in itself: a sandbox gives it an origin of its own, without any session."""


async def config(call: Call) -> Mapping[str, Any]:
    """The manifest, the configuration as it would be written, and what was changed since."""
    run, at = call.run(), call.query(Asked).at
    manifest = await run.work(run.folder.read_manifest)
    changes = await run.views(at, lambda connection: rows(connection, _CHANGES))
    return {"as_of": run.freshness(at), **_written(manifest), "changes": changes}


_CHANGES: Final = "SELECT * FROM config_changes ORDER BY position DESC, place LIMIT 200"


def _written(manifest: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: value for name, value in manifest.items() if name not in ("config", "format")}
    shown = yaml.safe_dump(manifest.get("config") or {}, sort_keys=False, allow_unicode=True, width=100)
    return {"manifest": facts, "config": shown if manifest.get("config") else ""}


async def beside(call: Call) -> Mapping[str, Any]:
    """The runs served, and the run folders in the same place."""
    run, runs = call.run(), call.services.runs
    allowed = call.principal.runs
    served = [name for name in runs.by_name if not allowed or name in allowed]
    folders = await run.work(lambda: [_listed(one) for one in _folders(run, allowed)])
    return {"as_of": run.freshness(call.query(Asked).at), "served": served, "folders": folders}


def _folders(run: ServedRun, allowed: tuple[str, ...]) -> Iterator[RunFolder]:
    parent = run.folder.path.resolve().parent
    count = 0
    for path in sorted(parent.iterdir()):
        if (path / "ledger.db").is_file() and (not allowed or path.name in allowed):
            yield RunFolder(path)
            count += 1
            if count == MOST_FOLDERS:
                return


def _folder(call: Call, name: str) -> RunFolder:
    run = call.run()
    found = next((one for one in _folders(run, call.principal.runs) if one.path.name == name), None)
    if found is None:
        raise Problem(404, "run.unknown", "there is no such run folder", value=name)
    return found


def _listed(folder: RunFolder) -> dict[str, Any]:
    """A folder in short; figures only where its views are there already."""
    told: dict[str, Any] = {"name": folder.path.name, "size": str(folder.ledger.stat().st_size)}
    try:
        manifest = folder.read_manifest()
    except UserError as error:
        return {**told, "problem": error.what}
    told.update({name: manifest.get(name) for name in ("kind", "finished", "records", "program", "head")})
    told["symbols"] = [one.get("symbol") for one in (manifest.get("config") or {}).get("grids", ())]
    try:
        with closing(open_views(folder.path)) as db:
            told.update(_figures(db.conn))
    except (UserError, sqlite3.Error):
        told["figures"] = None
    return told


def _figures(connection: sqlite3.Connection) -> dict[str, Any]:
    return {
        "figures": row(connection, "SELECT * FROM pnl_total"),
        "quote": (row(connection, "SELECT quote FROM accounts") or {}).get("quote", ""),
        "limits": row(connection, "SELECT * FROM risk WHERE scope = '*'"),
        "counts": {
            "orders": number(
                connection, "SELECT count(*) FROM grid_orders WHERE status NOT IN ('blocked', 'refused')"
            ),
            "fills": number(connection, "SELECT count(*) FROM trades"),
            "cycles": number(connection, "SELECT count(*) FROM cycles WHERE status = 'closed'"),
            "halts": number(connection, "SELECT count(*) FROM halts WHERE kind LIKE '%halted'"),
        },
    }


def _compared(folder: RunFolder) -> dict[str, Any]:
    manifest = folder.read_manifest()
    if (manifest.get("records") or 0) <= LARGEST_UPDATE:
        update(folder.path)
    with closing(open_views(folder.path)) as db:
        return {
            "name": folder.path.name,
            **_written(manifest),
            **_figures(db.conn),
            "symbols": rows(db.conn, "SELECT * FROM pnl ORDER BY symbol"),
            "points": curve(db.conn),
        }


async def compare(call: Call) -> Mapping[str, Any]:
    """Two runs: figures, curves, and how their configurations differ."""
    asked, run = call.query(AskedCompare), call.run()

    def work() -> dict[str, Any]:
        first, second = (_compared(_folder(call, name)) for name in (asked.a, asked.b))
        return {"a": first, "b": second, "settings": list(_differing(first["config"], second["config"]))}

    return {"as_of": run.freshness(), **await run.work(work)}


def _differing(first: str, second: str) -> Iterator[list[str]]:
    """Settings that are not the same in both, as (key, first, second)."""
    one, two = (dict(_flat("", yaml.safe_load(text))) for text in (first, second))
    for key in sorted({*one, *two}):
        if one.get(key) != two.get(key):
            yield [key, one.get(key, ""), two.get(key, "")]


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}" if key else str(name), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _flat(f"{key}[{place}]", inner)
    else:
        yield key, value if isinstance(value, str) else yaml.safe_dump(value).removesuffix("...\n").strip()


async def report(call: Call) -> web.Response:
    """The report of a run folder as one page of its own."""
    run, folder = call.run(), _folder(call, call.query(AskedCompare).a or call.run().name)

    def work() -> str:
        from grinder.report.writing import report_page

        update(folder.path)
        return report_page(folder)

    headers = {
        "Content-Security-Policy": REPORT_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    text = await run.work(work)
    return web.Response(text=text, content_type="text/html", charset="utf-8", headers=headers)
