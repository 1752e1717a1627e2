"""Who may do what: users, passwords, one-time codes, tokens, and the log of every decision.

Law: one small database that only its owner can read, apart from every ledger.  Nothing in it trades.
"""
