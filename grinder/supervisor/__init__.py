"""The process that watches run processes: starts them, starts them again, and knows when not to.

Law: it trades nothing, holds no key and imports no exchange.  What it must remember is on disk.
"""
