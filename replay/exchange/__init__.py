"""The simulated exchange: an edge of the core, with an order book position of its own.

Law: it knows orders, balances and the market's rows, never a grid.  What it tells is recorded as input, so a
ledger replays without it.  Everything it does follows from the rows, the requests and its seed.
"""
