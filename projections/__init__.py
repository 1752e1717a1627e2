"""Projections: what people look at, made from the ledger and from nothing else.

Law: a projection reads events and decides nothing.  Everything it knows is in the rows of its tables, so a
view that is dropped and rebuilt has the same rows as one that was kept up to date.  No file, database or
clock is known here; `grinder.views` stores the rows.
"""
