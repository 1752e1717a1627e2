"""Three proposals, one decision: distribute, collect, negotiate, resolve, execute.

Law: the same observation and the same policy give the same decision; nothing is kept between two.  To
execute means to return a `Decision`: orders are the business of the grid and of its risk checks, which may
still refuse.

1. *Distribute and* 2. *collect*: the policy shows each agent its part of the observation, in turn, and
   takes its odds (`Policy.propose`).
3. *Negotiate* (`grinder.marl.deciding.negotiation`): on one axis, short, neutral, long, for at most three
   rounds.  In a round every agent adds a quarter of the mean of the others' log-odds to its own and
   renormalises; all at once, from what was said in the round before.  As soon as all prefer the same
   direction, it is over.
4. *Resolve*: each agent votes for the direction it then prefers with its probability of it as confidence;
   the score of a direction is the sum of weight times confidence of those who vote for it.  The score of
   the direction a synergy points away from is multiplied by 0.7.
   `grinder.marl.deciding.hierarchy` says who may decide, in order.
5. *Execute*: action, size, stop and target (`decide`).

How the tactical and the risk agent are read on that axis is said in `grinder.marl.deciding.negotiation`.

**Negotiation moves votes and nothing else.**  Whether the risk agent vetoes, whether the tactical agent
waits and what sizes they choose is read from what they proposed: a veto cannot be talked away.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from grinder.marl.agents.odds import CAREFUL, DIRECTIONS, SIGN, Odds, choose
from grinder.marl.agents.policy import Policy, Proposal
from grinder.marl.deciding.decision import PPM, Decision, Factors, Vote
from grinder.marl.deciding.hierarchy import ACTION_OF, Case, Ruling, rule
from grinder.marl.deciding.kelly import Kelly, kelly
from grinder.marl.deciding.negotiation import AGENTS, negotiate, shared_axis
from grinder.marl.observing.observation import Observation, observation_hash
from grinder.marl.reasons import Reason, reason
from grinder.marl.schema import schema_hash

WEIGHTS: Mapping[str, float] = {"strategic": 0.5, "tactical": 0.3, "risk": 0.2}
"""How much a vote counts.  No agent suffices alone, and the other two cannot outvote the strategic agent."""

AGAINST_SYNERGY = 0.7
"""The score of a direction against the synergy's is multiplied by this."""

TARGET_OVER_STOP = 1.5
"""A target is so many times as far as its stop: 3 average true ranges where the stop is 2."""


def scores(after: tuple[Odds, ...], synergy_direction: int) -> Odds:
    """Score of short, neutral and long; they need not sum to 1."""
    found = [0.0, 0.0, 0.0]
    for agent, odds in zip(AGENTS, after, strict=True):
        vote = choose(odds, CAREFUL)
        found[vote] += WEIGHTS[agent] * odds[vote]
    for at, sign in enumerate(SIGN):
        if sign and sign == -synergy_direction:
            found[at] *= AGAINST_SYNERGY
    return tuple(found)


def _edge(seen: Observation, confidence: float) -> Kelly:
    """The Kelly size at this confidence; 1 where no edge was given."""
    if (edge := seen.edge) is None:
        return Kelly(1.0, 0.0, ())
    return kelly(edge.win_rate, edge.payoff, edge.round_trips, edge.win_rates, confidence)


def _factors(case: Case, worth: Kelly) -> Factors:
    proposal = case.proposal
    return Factors(
        kelly=worth.size,
        size=proposal.strategic.chosen_size,
        conviction=proposal.strategic.direction[case.winner],
        scale=proposal.tactical.chosen_scale,
        risk_multiplier=proposal.risk.chosen_multiplier,
    )


def _room(seen: Observation, direction: int) -> float:
    """Largest order in a direction: what the limit leaves beside what is held there, at most the limit."""
    held = seen.position
    return 1.0 - held.size if held.direction == SIGN[direction] else 1.0


def _sized(case: Case, ruling: Ruling, worth: Kelly, factors: Factors) -> tuple[Ruling, float]:
    """An entry with its size, or the HOLD it becomes for lack of one."""
    if not case.seen.market.atr:
        text = "The average true range is 0: there is no distance for a stop."
        return _held_back(ruling, reason("size.no_range", text)), 0.0
    if worth.size <= 0:
        return _held_back(ruling, *worth.reasons), 0.0
    wanted, room = factors.product, _room(case.seen, case.winner)
    size = min(wanted, room)
    if round(size * PPM) == 0:
        text = f"Of the limit {room:.4f} is left, and {wanted:.4f} was wanted."
        return _held_back(ruling, reason("size.full", text)), 0.0
    cut = (reason("size.capped", f"The size {wanted:.4f} is cut to {room:.4f}."),) if wanted > room else ()
    return attrs.evolve(ruling, reasons=(*ruling.reasons, *worth.reasons, *cut)), size


def _held_back(ruling: Ruling, *why: Reason) -> Ruling:
    return attrs.evolve(ruling, action="HOLD", reasons=(*why, *ruling.reasons))


def _votes(case: Case) -> tuple[Vote, ...]:
    strategic, tactical, risk = case.proposal.strategic, case.proposal.tactical, case.proposal.risk
    actions = (strategic.action, tactical.action, risk.action)
    heads: tuple[dict[str, Odds], ...] = (
        {"direction": strategic.direction, "size": strategic.size},
        {"timing": tactical.timing, "stop": tactical.stop, "scale": tactical.scale},
        {"control": risk.control, "multiplier": risk.multiplier},
    )
    experts: tuple[Mapping[str, Odds], ...] = (strategic.experts, tactical.experts, {})
    return tuple(
        Vote(
            agent=agent,
            action=actions[at],
            direction=DIRECTIONS[case.votes[at]],
            confidence=case.negotiated.after[at][case.votes[at]],
            weight=WEIGHTS[agent],
            proposed=case.negotiated.before[at],
            negotiated=case.negotiated.after[at],
            heads=heads[at],
            experts=experts[at],
        )
        for at, agent in enumerate(AGENTS)
    )


def coordinate(seen: Observation, proposal: Proposal) -> Decision:
    """Steps 3 to 5: from three proposals to one decision."""
    negotiated = negotiate(shared_axis(proposal))
    case = Case(seen, proposal, negotiated, scores(negotiated.after, seen.synergy.direction))
    ruling = rule(case)
    worth = _edge(seen, case.scores[case.winner])
    factors = _factors(case, worth)
    size = ruling.held_share * seen.position.size
    if ruling.action in ACTION_OF.values():
        ruling, size = _sized(case, ruling, worth, factors)
    enters = ruling.action in ACTION_OF.values()
    stop = proposal.tactical.chosen_stop if enters else 0.0
    target = stop * TARGET_OVER_STOP
    fallback = () if proposal.fallback is None else (proposal.fallback,)
    return Decision(
        action=ruling.action,
        direction=DIRECTIONS[case.winner],
        size=size,
        stop_atr=stop,
        target_atr=target,
        stop_share=stop * seen.market.atr,
        target_share=target * seen.market.atr,
        price=seen.market.price,
        confidence=ruling.confidence,
        scores=case.scores,
        rounds=negotiated.rounds,
        factors=factors,
        votes=_votes(case),
        reasons=(*ruling.reasons, *fallback),
        policy=proposal.policy,
        fallback=proposal.fallback,
        schema_hash=schema_hash(),
        observation_hash=observation_hash(seen),
    )


def decide(seen: Observation, policy: Policy) -> Decision:
    """One decision for one observation: all five steps.

    Raises:
        ModelRefused: only from a bare `NetworkPolicy`; the policies of `choose_policy` answer everything.
    """
    return coordinate(seen, policy.propose(seen))
