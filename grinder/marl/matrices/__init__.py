"""From closed bars to what an agent sees of a market: indicators together, matrices, regime, synergies.

Law: indicators are computed once (`features`) and read by all the rest; what is told of a bar depends on no
later one.
"""
