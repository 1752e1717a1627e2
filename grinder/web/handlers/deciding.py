"""A decision of the agents on what a caller observes, recorded by the run it is for.

Law: it is computed here, never in the run's process, and recorded there before it is answered.  The halts and
pauses it is made under are the run's own; a run that has come under others meanwhile refuses to record it,
and it is made anew.  Nothing is traded by it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from grinder.errors import UserError
from grinder.live.decisions import HALTS_CHANGED
from grinder.live.halts import halts_of
from grinder.marl.agents.policy import Policy
from grinder.marl.deciding import coordination
from grinder.marl.deciding.decision import Decision, as_json, as_parts_per_million
from grinder.marl.observing.observation import THE_BODY, Observation, read_observation
from grinder.web.call import Call, Route
from grinder.web.handlers.commands import command, give
from grinder.web.handlers.grids import Symbol
from grinder.web.problems import Problem
from grinder.web.runs import ServedRun

TRIES: Final = 3
"""How often a decision is made anew because the halts of the run have changed meanwhile."""

RECORDED: Final = (
    "action", "direction", "size_ppm", "confidence_ppm", "stop_share_ppm", "target_share_ppm", "price",
    "policy", "schema_hash", "observation_hash",
)  # fmt: skip
"""Figures of a decision that are in its record as they are."""


class DecideBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """For which symbol, and what is observed of it."""

    symbol: Symbol
    observation: Annotated[
        dict[str, Any], Meta(extra_json_schema={"$ref": "#/components/schemas/Observation"})
    ]


async def decide(call: Call) -> dict[str, Any]:
    """Decide, record, answer.

    Raises:
        Problem: 404, the run does not trade the symbol; 422, the observation is none; 503, no process of the
            run answers.
    """
    asked, run = call.body(DecideBody), call.run()
    symbol, policy = asked.symbol.upper(), call.services.policy
    for _ in range(TRIES):
        halts = await halts_now(run, symbol)
        decision = await run.work(lambda halts=halts: decided(asked.observation, halts, policy))  # type: ignore[misc]
        try:
            found = await give(call, "/decision", run, symbol=symbol, gates=halts, **recorded(decision))
        except UserError as error:
            if error.code != HALTS_CHANGED:
                raise
            continue
        return {**found, "symbol": symbol, "gates": list(halts), "decision": as_json(decision)}
    raise Problem(503, "decide.halts_changing", "the halts of the run keep changing",
                  fix="nothing was recorded; ask again")  # fmt: skip


async def halts_now(run: ServedRun, symbol: str) -> tuple[str, ...]:
    """The halts and pauses of a symbol, asked of the run's process.

    Raises:
        Problem: 503, none answers; 404, it does not trade the symbol.
    """
    live = await run.status()
    if live is None:
        raise Problem(503, "control.not_running", "nothing answers for this run",
                      fix="decisions are recorded by the run's process: start it")  # fmt: skip
    if symbol not in live.get("symbols", {}):
        raise Problem(404, "control.symbol", "the run does not trade this symbol", value=symbol,
                      fix=f"name one of {', '.join(live.get('symbols', {}))}")  # fmt: skip
    return halts_of(live, symbol)


def decided(body: dict[str, Any], halts: tuple[str, ...], policy: Policy) -> Decision:
    """The decision on a body; for a worker, because it takes longer than others should wait.

    Raises:
        Problem: 422, with the place in the request.
    """
    return coordination.decide(_read(body, halts), policy)


def _read(body: dict[str, Any], halts: tuple[str, ...]) -> Observation:
    try:
        return read_observation(body, halts)
    except UserError as error:
        place = "observation" if error.place == THE_BODY else f"observation.{error.place}"
        raise Problem(422, error.code, error.what, place=place, value=error.value, fix=error.fix) from error


def recorded(decision: Decision) -> dict[str, Any]:
    """What of a decision is handed to the run (see `grinder.live.decisions`)."""
    told = as_parts_per_million(decision)
    return {
        **{name: told[name] for name in RECORDED},
        "fallback": decision.fallback.code if decision.fallback else "",
        "votes": [[one[name] for name in ("agent", "action", "direction", "confidence_ppm")]
                  for one in told["votes"]],
        "reasons": [[one.code, one.text] for one in decision.reasons],
    }  # fmt: skip


ROUTES: tuple[Route, ...] = (
    command(
        "/decide",
        "decide",
        decide,
        "A decision of the agents on given matrices; it is recorded and trades nothing",
        body=DecideBody,
        measured=True,
        answer="Decision",
    ),
)
