"""Figures of closed bars: one array entry per bar.

Law: an entry depends on its own bar and those before it, never on a later one.  A figure that does not exist
yet is NaN, unless its definition names a neutral value; whoever scales figures counts what is not finite.
Averages that remember everything (Heikin-Ashi, Wilder, the store of samples) depend on where the bars begin:
two runs agree only when they were given the same first bar.
"""
