"""Market to matrices, matrices to a decision: bars, indicators, synergies, and agents that vote.

Law: this is an edge, so it may use float64.  Nothing here reads a clock, a socket or a ledger: bars and
matrices come in, a decision goes out, and the same input gives the same decision.  What enters a ledger of
it is whole numbers (parts per million), recorded as an input: a replay reads a decision, it never computes
one again.
"""
