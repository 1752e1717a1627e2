"""Market to matrices, matrices to a decision: bars, indicators, synergies, and agents that vote.

Law: this is an edge, so it may use float64.  Nothing here reads a clock, a socket or a ledger: bars and
matrices come in, a decision goes out, and the same input gives the same decision.  What enters a ledger of
it is whole numbers (parts per million), recorded as an input: a replay reads a decision, it never computes
one again.

In the order in which one is made of the other, and may import it (`setup.cfg` holds the contract):

- `schema`, `reasons`, `refusals`: the columns of the matrices; every reason and every refusal by its code
- `bars`: closed bars, from ticks, candles or volume, and of longer ones
- `indicators`: figures of closed bars, one entry a bar
- `matrices`: all indicators of a run of bars, the three matrices cut from them, the regime, the synergies
- `observing`: what is read of a caller and shown to the agents, checked
- `agents`: what each of the three proposes, by rules or by a network
- `deciding`: from three proposals to one decision
"""
