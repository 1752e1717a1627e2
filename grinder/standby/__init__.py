"""Two processes of one run on one machine: one trades, the other follows the ledger and takes over.

Law: who holds the lease trades, and nobody else does.  The lease has an epoch that grows with every taking; a
process whose epoch is not the lease's sends nothing more, not even a cancel, and its appends are refused by
the ledger itself.  A standby decides nothing and sends nothing until the lease is its own, the process before
it is dead, and it has read the ledger to its end.
"""
