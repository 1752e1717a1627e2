"""What an operator does to a run: pause, resume, kill, reset, accept a difference, hand over to a standby;
what is done to its grids as a whole is in `grinder/web/handlers/grids.py`.

Law: a command goes to the run's process and is answered with the position of its record in the ledger; it
names who gave it.  Guards here only say sooner what the core would decide anyway.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Handler, Nothing, Route
from grinder.web.handlers.queries import RunQuery
from grinder.web.problems import Problem
from grinder.web.runs import ServedRun

Reason = Annotated[str, Meta(max_length=120, pattern=r"^[^\x00-\x1f]*$")]


class KillBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why, in the operator's words."""

    reason: Reason = ""


def symbol_of(call: Call) -> str:
    """The symbol of the path; empty when there is none."""
    return call.request.match_info.get("symbol", "").upper()


async def give(call: Call, path: str, run: ServedRun | None = None, **body: Any) -> dict[str, Any]:
    """Give a command; the answer is written to the audit log as well."""
    found = await (run or call.run()).command(path, {**body, "operator": call.principal.name})
    call.audit(f"{found.get('status', 'done')} at {found['position']}")
    return {"status": "done", "operator": call.principal.name, **found}


async def refuse_while_killed(run: ServedRun, symbol: str) -> None:
    """Refuse what a latched kill switch or a halted symbol would refuse.

    Raises:
        Problem: 403.
    """
    live = await run.status()
    if live is None:
        return
    if live.get("halted"):
        raise Problem(403, "risk.halted", "trading is halted", value=str(live["halted"]),
                      fix="reset the kill switch first")  # fmt: skip
    if symbol and live.get("symbols", {}).get(symbol, {}).get("halted"):
        raise Problem(403, "risk.symbol_halted", "the symbol is halted", value=symbol)


async def pause(call: Call) -> dict[str, Any]:
    """No new order leaves; working orders stay."""
    return await give(call, "/pause", symbol=symbol_of(call))


async def resume(call: Call) -> dict[str, Any]:
    """Orders may leave again."""
    run, symbol = call.run(), symbol_of(call)
    await refuse_while_killed(run, symbol)
    return await give(call, "/resume", run, symbol=symbol)


async def kill(call: Call) -> dict[str, Any]:
    """Latch the kill switch."""
    words = call.body(KillBody).reason
    return await give(call, "/kill", reason=f"MANUAL: {words}" if words else "MANUAL")


async def reset_kill(call: Call) -> dict[str, Any]:
    """Release the kill switch."""
    return await give(call, "/reset")


async def accept(call: Call) -> dict[str, Any]:
    """Take over what the exchange says of a symbol."""
    return await give(call, "/accept", symbol=symbol_of(call))


async def failover(call: Call) -> dict[str, Any]:
    """Let a standby take the run over."""
    return await give(call, "/failover")


def command(
    path: str, name: str, handler: Handler, summary: str, *, role: Role = Role.OPERATOR, body: Any = Nothing,
    step: bool = False, step_live: bool = False, answer: str = "Done", errors: tuple[int, ...] = (),
    measured: bool = False,
) -> Route:  # fmt: skip
    """The row of a command."""
    return Route(
        method="POST",
        path=path,
        name=name,
        handler=handler,
        role=role,
        rate=Rate.WRITE,
        query=RunQuery,
        body=body,
        measured=measured,
        summary=summary,
        answer=answer,
        errors=(403, 404, 409, 503, *errors) + ((423,) if step or step_live else ()),
        step_up=step,
        step_up_live=step_live,
    )


ROUTES: tuple[Route, ...] = (
    command("/api/pause", "pause", pause, "Let no new order leave; working orders stay"),
    command("/api/pause/{symbol}", "pause_symbol", pause, "The same for one symbol"),
    command("/api/resume", "resume", resume, "Let orders leave again"),
    command("/api/resume/{symbol}", "resume_symbol", resume, "The same for one symbol"),
    command("/api/kill", "kill", kill, "Latch the kill switch", body=KillBody),
    command(
        "/api/reset-kill", "reset_kill", reset_kill, "Release the kill switch", role=Role.ADMIN, step=True
    ),
    command(
        "/api/ha/failover",
        "failover",
        failover,
        "Let a standby take the run over: it cancels what is left and places it anew",
        answer="HandedOver",
    ),
    command(
        "/api/reconciliation/{symbol}/accept",
        "accept_difference",
        accept,
        "Take over what the exchange says of a symbol",
        role=Role.ADMIN,
    ),
)
