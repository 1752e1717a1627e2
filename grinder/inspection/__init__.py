"""Reading tools over any ledger, finished or live: explain, audit, debug, and signed heads.

Law: the ledger is opened read-only and nothing here decides anything.  What is written is a cache beside the
ledger that can be thrown away at any time.
"""
