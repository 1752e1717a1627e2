"""What an operator does to a grid as a whole: start it again, stop it, deploy other terms, rebalance it.

Law: the run checks the terms and decides; a limit that blocks a command is an answer, not an error, and so
names the limit.  The kill switch is 403, terms that cannot be are 400, a grid that is not as it must be 409.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from domain.risk_events import BlockReason
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Route
from grinder.web.handlers.commands import command, give, refuse_while_killed, symbol_of
from grinder.web.handlers.queries import NoSymbol, RunQuery
from grinder.web.problems import Problem

Symbol = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]{2,20}$")]
Key = Annotated[str, Meta(pattern=r"^[a-z_]{1,32}$")]
Text = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f]*$")]
Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class StopGridBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What becomes of the grid's orders and holdings."""

    on_stop: Literal["keep", "cancel", "flatten"] = "cancel"


class DeployBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Settings of a grid that are to be others, by their names in the configuration.

    Decimals are text, so that they are what was written; null takes a setting out.
    """

    symbol: Symbol
    settings: Annotated[dict[Key, Text | Whole | bool | None], Meta(max_length=32)]


class PreviewBody(DeployBody, forbid_unknown_fields=True, kw_only=True):
    """The same; without settings it shows the terms as they are."""

    settings: Annotated[dict[Key, Text | Whole | bool | None], Meta(max_length=32)] = {}


class RebalanceBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which grid; all of them without a symbol."""

    symbol: NoSymbol = ""


async def stop_grid(call: Call) -> dict[str, Any]:
    """End a grid."""
    asked = call.body(StopGridBody)
    return await give(call, "/stop-grid", symbol=symbol_of(call), on_stop=asked.on_stop, reason="operator")


async def start(call: Call) -> dict[str, Any]:
    """Start a stopped grid again."""
    return await _decided(call, "/start", symbol=symbol_of(call))


async def deploy(call: Call) -> dict[str, Any]:
    """Let a grid trade under other terms."""
    asked = call.body(DeployBody)
    return await _decided(call, "/deploy", symbol=asked.symbol.upper(), settings=asked.settings)


async def preview(call: Call) -> dict[str, Any]:
    """What a deployment would do; nothing is changed."""
    asked = call.body(PreviewBody)
    body = {"symbol": asked.symbol.upper(), "settings": asked.settings}
    return await call.run().command("/deploy/preview", body)


async def rebalance(call: Call) -> dict[str, Any]:
    """Place the orders of a grid, or of all, anew."""
    return await _decided(call, "/rebalance", symbol=call.body(RebalanceBody).symbol.upper())


async def _decided(call: Call, path: str, **body: Any) -> dict[str, Any]:
    """Give a command that a limit may block.

    Raises:
        Problem: 403, the kill switch is latched.
    """
    run = call.run()
    await refuse_while_killed(run, "")
    found = await give(call, path, run, **body)
    if found["status"] == "blocked" and found["reason"] == BlockReason.HALTED:
        raise Problem(403, "risk.halted", "trading is halted", value=str(found["detail"]),
                      fix="reset the kill switch first")  # fmt: skip
    return found


ROUTES: tuple[Route, ...] = (
    command("/api/grids/{symbol}/stop", "stop_grid", stop_grid, "End a grid", body=StopGridBody),
    command(
        "/api/grids/{symbol}/start",
        "start_grid",
        start,
        "Start a stopped grid again",
        answer="Decided",
        step_live=True,
    ),
    command(
        "/api/deploy",
        "deploy",
        deploy,
        "Let a grid trade under other terms",
        body=DeployBody,
        answer="Decided",
        errors=(400,),
        step_live=True,
    ),
    Route(
        method="POST",
        path="/api/deploy/preview",
        name="deploy_preview",
        handler=preview,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=RunQuery,
        body=PreviewBody,
        summary="What a deployment would change, and its ladder",
        answer="Preview",
        errors=(400, 404, 409, 503),
    ),
    command(
        "/api/rebalance",
        "rebalance",
        rebalance,
        "Cancel the orders of grids and place them anew",
        body=RebalanceBody,
        answer="Decided",
    ),
)
