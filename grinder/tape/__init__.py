"""The tape: every raw frame as it came, so that what the core learned can be proven.

Law: the tape is written beside trading and never in its way; it is read only to prove or to look at a run.
"""
