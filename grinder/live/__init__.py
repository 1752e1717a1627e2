"""The live process: one account on one exchange, one loop, one ledger.

Law: what the world says becomes an input, what the core decides becomes durable, and only then does it leave.
"""
