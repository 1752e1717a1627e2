"""The mailboxes: who receives what, in which order, and what is written down.

Law: no rules here.  A core actor is a shell around one aggregate of `domain`; the sequencer runs one message
at a time in one total order; every input and every event becomes a record before any effect leaves.
"""
