"""The ledger on disk: append-only, hash-chained, one writer.

Law: `schema.py` says what a ledger file is, `recorder.py` stores and reads through eventsourcing, `writer.py`
appends from the core, `lock.py` keeps a second writer out, `verify.py` proves that nothing was changed.
"""
