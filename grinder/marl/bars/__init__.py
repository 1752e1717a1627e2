"""Closed bars and how they come about: from ticks, from candle files, by volume, and longer ones of shorter.

Law: only closed bars leave this folder, and a bar is checked where it is made (`grinder.marl.bars.closed`).
"""
