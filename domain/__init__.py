"""The rules of grinder: what may happen, and what follows from it.

Law: pure and integer.  Nothing in this room knows a clock, a thread, a socket, a database, a float or a
random number; time, ids and chance arrive inside messages.  `tests/test_tidy.py` keeps it so.

One aggregate per file, always in the same order: law, events, state, `initial`, `evolve`, `decide`,
`route`, `wake`.  `decide` holds every guard; `evolve` is total and never refuses, because it must read
ledgers written by every earlier version.
"""
