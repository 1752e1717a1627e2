"""Three views of the direction, brought closer: at most three rounds of listening.

Law: pure arithmetic on the agents' odds; it moves votes and nothing else, and the same odds give the same
result.

**The shared axis.**  The strategic agent is read by its direction head.  The tactical agent is read by its
`direction`: under the rules the ensemble of its sub-experts, which may oppose the strategic agent; a
network's tactical heads know only when, so it repeats the strategic odds with the share that does not wait
and says neutral with the rest.  The risk agent knows no direction either: it repeats the strategic odds with
its probability of `none` or `alert`, and says neutral with all that restrains.  Both readings are
`odds.through`: an agent without a view neither adds a direction nor takes one away.  An agent opposes a
direction when it votes for the opposite; neutral does not oppose.
"""

from __future__ import annotations

import math

import attrs

from grinder.marl.agents.odds import CAREFUL, Odds, choose, softmax, through
from grinder.marl.agents.policy import Proposal

AGENTS = ("strategic", "tactical", "risk")
"""In the order of their turn; all that holds a figure for each agent is in this order."""

ROUNDS_MOST = 3
HEARD = 0.25
"""Share of the others' mean log-odds that an agent adds to its own in a round."""

LEAST_ODDS = 1e-9
"""A probability counts at least so much in a logarithm: nobody can forbid a direction by a 0."""


@attrs.frozen
class Negotiated:
    """What the agents said on the shared axis, in the order of `AGENTS`.

    Attributes:
        before: their odds as proposed.
        after: their odds in the end.
        rounds: how many rounds it took.
    """

    before: tuple[Odds, ...]
    after: tuple[Odds, ...]
    rounds: int


def shared_axis(proposal: Proposal) -> tuple[Odds, ...]:
    """The three agents' odds of short, neutral and long."""
    direction = proposal.strategic.direction
    return direction, proposal.tactical.direction, through(direction, proposal.risk.passing)


def negotiate(before: tuple[Odds, ...]) -> Negotiated:
    """At most `ROUNDS_MOST` rounds; fewer if all prefer one direction earlier, none if they do at once."""
    after = before
    for rounds in range(ROUNDS_MOST):
        if len({choose(one, CAREFUL) for one in after}) == 1:
            return Negotiated(before, after, rounds)
        after = _round(after)
    return Negotiated(before, after, ROUNDS_MOST)


def _round(said: tuple[Odds, ...]) -> tuple[Odds, ...]:
    logs = [[math.log(max(one, LEAST_ODDS)) for one in odds] for odds in said]
    heard = []
    for own, mine in enumerate(logs):
        others = [theirs for at, theirs in enumerate(logs) if at != own]
        means = [math.fsum(at) / len(others) for at in zip(*others, strict=True)]
        heard.append(softmax([one + HEARD * mean for one, mean in zip(mine, means, strict=True)]))
    return tuple(heard)
