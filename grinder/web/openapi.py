"""The document about the API (OpenAPI 3.1), made from the route table.

Law: nothing is written twice: paths, fields and bounds come from the rows, columns of lists from the
projections.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from grinder import __version__
from grinder.marl.deciding.decision import DECISION_SCHEMA
from grinder.marl.observing.observation import BODY_SCHEMA
from grinder.web.admission import Role
from grinder.web.call import Nothing, Route
from grinder.web.queries import LISTINGS
from projections.changes import CHANGES
from projections.inventory import POSITIONS
from projections.view import INT, Table

_PART: Final = re.compile(r"\{(\w+)(?::([^}]+))?\}")

TEXTS: Final = {
    200: "Done",
    202: "Taken: the command is in the ledger",
    101: "A WebSocket",
    400: "The body is not JSON, or what it asks for cannot be",
    401: "A login or token is needed, or worth nothing any more",
    403: "Not allowed",
    404: "There is no such thing, or not for this caller",
    409: "It contradicts what was sent before, or what is so now",
    413: "The body is too large",
    415: "The body is of another type",
    422: "The request does not fit its schema",
    423: "Locked after too many failures",
    426: "This is a WebSocket",
    429: "Too many requests",
    503: "The run does not answer, or cannot be read",
}

_AS_OF: Final = {
    "type": "object",
    "description": "Where the answer stands, and whether it can be taken for now.",
    "required": ["run", "position", "head", "end", "preparing", "running", "stale", "fault", "checked_ns"],
    "properties": {
        "run": {"type": "string"},
        "position": {"type": "integer"},
        "head": {"type": "integer"},
        "end": {"type": "integer", "description": "The last record of the ledger."},
        "preparing": {"type": "boolean", "description": "The views are being made, from head to end."},
        "running": {"type": "boolean"},
        "stale": {"type": "boolean"},
        "fault": {"type": "string"},
        "checked_ns": {"type": "integer"},
    },
}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _row(table: Table, lists: Iterable[str] = ()) -> dict[str, Any]:
    kinds: dict[str, Any] = {
        name: {"type": ["integer", "null"] if kind == INT else ["string", "null"]}
        for name, kind in table.columns.items()
    }
    kinds.update({name: {"type": "array"} for name in lists})
    return {"type": "object", "required": list(kinds), "properties": kinds}


def _object(required: Iterable[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _items(row: dict[str, Any], *, as_of: bool = True) -> dict[str, Any]:
    parts: dict[str, Any] = {"items": {"type": "array", "items": row}, "next": {"type": ["integer", "null"]}}
    if as_of:
        parts["as_of"] = _ref("AsOf")
    return _object(parts, **parts)


_PRICE_TEXT: Final = {"type": ["string", "null"]}
_PRICE: Final = _object(
    ("symbol", "price", "bid", "ask", "volume_24h", "ts_ns", "source"),
    symbol={"type": "string"},
    price=_PRICE_TEXT,
    bid=_PRICE_TEXT,
    ask=_PRICE_TEXT,
    volume_24h=_PRICE_TEXT,
    ts_ns={"type": ["integer", "null"]},
    source={"enum": ["ledger", "run"]},
)


def _either(*texts: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(texts)}


def answers() -> dict[str, Any]:
    """The schemas of answers, by the name routes use."""
    text, number = {"type": "string"}, {"type": "integer"}
    rows = {"type": "array", "items": {"type": "object"}}
    change = _object(("setting", "old", "new"), setting=text, old=text, new=text)
    found: dict[str, Any] = {
        "Object": {"type": "object"},
        "AsOf": _AS_OF,
        "Problem": _object(("detail", "code"), detail=text, code=text, place=text, value=text, fix=text),
        "Observation": BODY_SCHEMA,
        "Decision": _object(
            ("status", "operator", "position", "symbol", "gates", "decision"), status=text, operator=text,
            position=number, symbol=text, gates={"type": "array", "items": text}, decision=DECISION_SCHEMA,
        ),
        "Grids": _object(("grids", "as_of"), grids=rows, as_of=_ref("AsOf")),
        "Prices": _object(("prices", "as_of"), prices={"type": "array", "items": _PRICE}, as_of=_ref("AsOf")),
        "Positions": _object(
            ("positions", "as_of"), positions={"type": "array", "items": _row(POSITIONS)}, as_of=_ref("AsOf")
        ),
        "Pnl": _object(
            ("total", "symbols", "daily", "as_of"), total={"type": "object"}, symbols=rows, daily=rows,
            as_of=_ref("AsOf"),
        ),
        "Decided": _object(
            ("status", "operator", "position"), status=_either("done", "blocked"), operator=text,
            position=number, reason=text, detail=text, waits={"type": "boolean"},
            changes={"type": "array", "items": change}, symbols={"type": "array", "items": text},
        ),
        "Preview": _object(
            ("symbol", "status", "price", "terms", "changes", "plan"), symbol=text, status=text, price=text,
            terms={"type": "object"}, changes={"type": "array", "items": change}, plan={"type": "object"},
        ),
        "Changes": _object(
            ("changes", "as_of"), changes={"type": "array", "items": _row(CHANGES)}, as_of=_ref("AsOf")
        ),
        "Done": _object(("status", "operator", "position"), status=text, operator=text, position=number),
        "HandedOver": _object(
            ("status", "operator", "position", "node"), status=text, operator=text, position=number, node=text
        ),
        "Verdict": _object(("ok", "records", "head"), ok={"type": "boolean"}, records=number, head=text),
        "Session": _object(("username", "role", "expires_in", "csrf"), username=text, role=text,
                           expires_in=number, csrf=text, access_token=text, refresh_token=text),
        "Alert": _object(
            ("status", "symbol", "action"), status=text, symbol=text, action=text, position=number
        ),
        "AlertsPage": _items({"type": "object"}, as_of=False),
        "AuditPage": _items({"type": "object"}, as_of=False),
        "LedgerPage": _items(
            _object(("position", "stream", "topic", "ts_ns", "cause", "state", "chain"), position=number)
        ),
        "ReconciliationPage": _items(_row(LISTINGS["reconciliations"].table)),
    }  # fmt: skip
    for name, listing in LISTINGS.items():
        found[f"{name.capitalize()}Page"] = _items(_row(listing.table, listing.lists))
    return found


def _parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, pattern in _PART.findall(route.path):
        schema = {"type": "string", "pattern": f"^{pattern or '[A-Za-z0-9]{2,20}'}$"}
        found.append({"name": name, "in": "path", "required": True, "schema": schema})
    if route.query is not Nothing:
        for name, schema in schemas[route.query.__name__]["properties"].items():
            found.append({"name": name, "in": "query", "required": False, "schema": _plain(schema)})
    if route.step_up or route.step_up_live:
        code = {"type": "string", "pattern": "^[0-9]{6}$"}
        found.append({"name": "X-TOTP", "in": "header", "required": False, "schema": code})
    if route.changes and route.role is not Role.PUBLIC:
        key = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[A-Za-z0-9-]+$"}
        found.append({"name": "Idempotency-Key", "in": "header", "required": False, "schema": key})
    return found


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter's schema without null, which a query cannot spell."""
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    rest = {name: one for name, one in schema.items() if name not in ("anyOf", "default")}
    return {**rest, **kinds[0]} if len(kinds) == 1 else schema


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    media = {route.media: {"schema": _ref(route.answer)} if route.media == "application/json" else {}}
    answers: dict[str, Any] = {}
    good = {route.success, *(one for one in route.errors if one < 400)}
    expected = {422, 429} | set(route.errors)
    if route.role is not Role.PUBLIC:
        expected |= {401, 403}
    else:
        expected |= {403}
    if route.changes:
        expected |= {400, 403, 413, 415}
    for status in sorted(good | expected):
        content: Any = media if status in good else {"application/json": {"schema": _ref("Problem")}}
        if route.name == "ready":
            content = {"application/json": {"schema": _ref("Object")}}
        answers[str(status)] = {"description": TEXTS[status]} | (
            {} if status == 101 else {"content": content}
        )
    found: dict[str, Any] = {
        "operationId": f"{route.name}_{len(_PART.findall(route.path))}",
        "summary": route.summary,
        "description": f"Role: {route.role.name.lower()}. Rate: {route.rate.label}."
        + (" Needs a fresh one-time code." if route.step_up else "")
        + (" Needs a fresh one-time code where the run trades real money." if route.step_up_live else ""),
        "parameters": _parameters(route, schemas),
        "responses": answers,
        "security": [] if route.role is Role.PUBLIC else [{"bearer": []}, {}],
    }
    body = route.body or route.own_body
    if body is not None and body is not Nothing:
        content = {"application/json": {"schema": _ref(body.__name__)}}
        needed = bool(schemas[body.__name__].get("required"))
        found["requestBody"] = {"required": needed, "content": content}
    return found


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """The whole document."""
    routes = [one for one in routes if one.media in ("application/json", "text/plain")]
    kinds = {kind for one in routes for kind in (one.query, one.body, one.own_body) if kind is not None}
    _, schemas = msgspec.json.schema_components(
        sorted(kinds, key=lambda kind: kind.__name__), ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {}
    for route in routes:
        path = _PART.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "grinder", "version": __version__, "description": "See docs/api.md."},
        "paths": paths,
        "components": {
            "schemas": {**schemas, **answers()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }
