"""Alerts of TradingView, and what they do to a run.

Law: an alert counts for as much as an operator's pause or resume of its own kind: it ends only pauses that
alerts began.  It is answered when its command is in the ledger; the same alert a second time does nothing.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from grinder.errors import UserError
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Result, Route
from grinder.web.guard import inside, json_answer
from grinder.web.handlers.commands import refuse_while_killed
from grinder.web.handlers.queries import AlertsQuery, RunQuery
from grinder.web.problems import Problem, problem_of
from grinder.web.reading import read_body
from grinder.web.runs import ServedRun

SIGNATURE: Final = "X-Webhook-Signature"
SOURCE: Final = "tradingview"
NS: Final = 10**9
OLDEST_NS: Final = 60 * NS
EARLIEST_NS: Final = 5 * NS
"""How far ahead of ours the sender's clock may be."""

FARTHEST_PPM: Final = 10_000
SAME_NS: Final = 60 * NS
PATIENCE_S: Final = 2.5
"""The sender waits three seconds."""

TYPES: Final = ("application/json", "text/plain", "application/octet-stream")

ACTIONS: Final = {
    "buy": "resume",
    "long": "resume",
    "sell": "pause",
    "short": "pause",
    "close": "stop",
}

_PLACEHOLDER: Final = re.compile(rb"\{\{.{1,80}?\}\}")


class AlertBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An alert.

    Attributes:
        id: of the alert; one that comes again has no effect.  Without it the body itself is the id, for 60 s.
        price: what the sender saw; too far from ours, it is refused.
        time: when it was sent, ISO 8601 or ms since 1970.
        zone: words of the sender, kept and shown.
    """

    symbol: Annotated[str, Meta(min_length=2, max_length=40)]
    action: Annotated[str, Meta(min_length=1, max_length=20)]
    id: Annotated[str, Meta(max_length=128)] = ""
    price: Decimal | None = None
    time: Annotated[str, Meta(max_length=40)] | int | None = None
    zone: Annotated[str, Meta(max_length=80)] = ""


# --- who sends ---------------------------------------------------------------------------------------------


def prove(call: Call) -> None:
    """Refuse who is not the sender that was agreed on; without detail.

    Raises:
        Problem: 401 or 403.
    """
    settings = call.services.settings
    if settings.webhook_allow and not inside(call.address, settings.webhook_allow):
        raise Problem(403, "webhook.address", "alerts may not come from this address")
    token = call.request.match_info.get("token", "")
    proofs = []
    if settings.webhook_secret:
        right = hmac.new(settings.webhook_secret.encode(), call.raw, sha256).hexdigest()
        shown = call.request.headers.get(SIGNATURE, "")
        proofs.append(hmac.compare_digest(shown.lower().encode("utf-8", "replace"), right.encode()))
    if settings.webhook_token:
        proofs.append(hmac.compare_digest(token.encode("utf-8", "replace"), settings.webhook_token.encode()))
    if proofs:
        proven = any(proofs)
    elif settings.webhook_allow:
        proven = True
    else:
        # A page in a browser of this machine could send one: it would say where it comes from.
        proven = settings.no_login and "Origin" not in call.request.headers
    if not proven:
        raise Problem(401, "webhook.refused", "refused")


# --- what is sent ------------------------------------------------------------------------------------------


def read_alert(call: Call) -> AlertBody:
    """The alert.

    Raises:
        Problem: 400, 415 or 422.
    """
    if call.request.content_type not in TYPES:
        raise Problem(415, "webhook.type", "an alert is JSON", value=call.request.content_type)
    found = _PLACEHOLDER.search(call.raw)
    if found:
        raise Problem(
            422,
            "webhook.placeholder",
            "a placeholder was not filled in",
            value=found.group().decode("utf-8", "replace"),
            fix="check its spelling in the alert's message",
        )
    if not call.raw.strip():
        raise Problem(400, "request.json", "the body is not JSON", fix="send a JSON object")
    return read_body(call.raw, AlertBody)


def symbol_of(asked: str, known: list[str]) -> str:
    """The run's symbol that is meant: without the exchange's name, with USDT where no quote is named.

    Raises:
        Problem: 422, there is none.
    """
    plain = asked.upper().rpartition(":")[2].removesuffix(".P").replace("/", "").replace("-", "")
    for symbol in (plain, f"{plain}USDT"):
        if symbol in known:
            return symbol
    raise Problem(422, "webhook.symbol", "the run does not trade this symbol", value=asked,
                  fix=f"one of {', '.join(known)}")  # fmt: skip


def sent_ns(given: str | int | None) -> int | None:
    """When an alert was sent.

    Raises:
        Problem: 422, this is no time.
    """
    if given is None or given == "":
        return None
    try:
        if isinstance(given, int) or given.isdigit():
            number = int(given)
            return number * (NS if number < 10**11 else NS // 1000)
        when = datetime.fromisoformat(given)
        moment = (when if when.tzinfo else when.replace(tzinfo=UTC)) - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Problem(
            422, "webhook.time", "this is no time", value=str(given), fix="send {{timenow}}"
        ) from None
    return (moment.days * 86_400 + moment.seconds) * NS + moment.microseconds * 1000


def check_time(given: str | int | None, now_ns: int) -> None:
    """Refuse an alert that is too old, or from the future.

    Raises:
        Problem: 409 or 422.
    """
    when = sent_ns(given)
    if when is not None and not -EARLIEST_NS <= now_ns - when <= OLDEST_NS:
        raise Problem(409, "webhook.time", "the alert is too old, or from the future", value=str(given))


def check_price(given: Decimal | None, ours: str | None) -> None:
    """Refuse an alert whose price is more than one per cent from ours.

    Raises:
        Problem: 409.
    """
    if given is None or ours is None:
        return
    try:
        mine = Decimal(ours)
    except InvalidOperation:
        return
    if abs(given - mine) * 1_000_000 > mine * FARTHEST_PPM:
        raise Problem(409, "webhook.price", "the price is more than 1 % from ours", value=str(given))


# --- what it does ------------------------------------------------------------------------------------------


async def alert(call: Call) -> Result:
    """Take an alert: prove, read, check, command, answer."""
    prove(call)
    call.audit("granted", user=SOURCE)
    run = call.services.runs.find(call.query(RunQuery).run, ())
    asked = read_alert(call)
    action = ACTIONS.get(asked.action.lower())
    if action is None:
        raise Problem(422, "webhook.action", "there is no such action", value=asked.action,
                      fix=f"one of {', '.join(ACTIONS)}")  # fmt: skip
    live = await run.status()
    if live is None:
        raise Problem(503, "control.not_running", "nothing answers for this run")
    symbol = symbol_of(asked.symbol, sorted(live.get("symbols", {})))
    check_time(asked.time, call.services.clock())
    check_price(asked.price, live["symbols"][symbol].get("price"))
    mark = f"id:{asked.id}" if asked.id else f"body:{sha256(call.raw).hexdigest()}"
    signals = call.services.signals
    if not (signals.first_time(run.name, mark) if asked.id else signals.first_time(run.name, mark, SAME_NS)):
        if asked.id:
            return json_answer(200, {"status": "duplicate", "symbol": symbol, "action": action})
        raise Problem(409, "webhook.repeated", "the same alert came less than a minute ago")
    return await _act(call, run, asked, symbol, action, mark)


async def _act(call: Call, run: ServedRun, asked: AlertBody, symbol: str, action: str, mark: str) -> Result:
    """Give the command; an alert that had no effect may come again."""
    kept: dict[str, Any] = {
        "source": SOURCE,
        "symbol": symbol,
        "action": asked.action.lower(),
        "price": None if asked.price is None else f"{asked.price:f}",
        "zone": asked.zone,
    }
    signals = call.services.signals
    try:
        if action == "resume":
            await refuse_while_killed(run, symbol)
        path = {"resume": "/resume", "pause": "/pause", "stop": "/stop-grid"}[action]
        body = {"symbol": symbol, "operator": SOURCE, "reason": SOURCE}
        extra = {"on_stop": "cancel"} if action == "stop" else {}
        found = await run.command(path, {**body, **extra}, timeout_s=PATIENCE_S)
    except (Problem, UserError) as error:
        problem = error if isinstance(error, Problem) else problem_of(error)
        signals.forget(run.name, mark)
        signals.keep(run.name, **kept, outcome=f"refused {problem.code}", position=None)
        raise problem from None
    signals.keep(run.name, **kept, outcome=action, position=found["position"])
    call.audit(f"done at {found['position']}", user=SOURCE)
    return json_answer(
        202, {"status": "accepted", "symbol": symbol, "action": action, "position": found["position"]}
    )


async def alerts(call: Call) -> Result:
    """Alerts that came, and how many."""
    asked, run = call.query(AlertsQuery), call.run()
    signals = call.services.signals
    found = signals.page(run.name, asked.symbol.upper(), asked.cursor, asked.limit + 1)
    items = found[: asked.limit]
    following = items[-1]["id"] if len(found) > asked.limit else None
    return {"items": items, "next": following, "stats": signals.statistics(run.name)}


def _hook(path: str, name: str) -> Route:
    return Route(
        method="POST",
        path=path,
        name=name,
        handler=alert,
        role=Role.PUBLIC,
        rate=Rate.WEBHOOK,
        query=RunQuery,
        own_body=AlertBody,
        summary="An alert of TradingView",
        answer="Alert",
        success=202,
        errors=(200, 401, 403, 404, 409, 503),
        needs_header=False,
    )


ROUTES: tuple[Route, ...] = (
    _hook("/api/tv-alert", "webhook"),
    _hook("/api/tv-alert/{token}", "webhook"),
    Route(
        method="GET",
        path="/api/alerts",
        name="alerts",
        handler=alerts,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=AlertsQuery,
        summary="Alerts that came",
        answer="AlertsPage",
        errors=(404,),
    ),
)
