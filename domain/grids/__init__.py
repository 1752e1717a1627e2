"""Grid kinds: pure functions from a specification to a ladder of prices.

Law: one function per kind in a file of its own, one line in `registry.py`; nothing here knows orders, sizes
or the market.  Prices come out as exact rationals in ticks; `ladder.py` alone rounds them and sizes levels.
"""
