"""The exchanges: one folder each, and what they share.

Law: a connector is one exchange's wire and nothing else.  It says what the exchange said, in integers, and
decides nothing; an answer nobody can read is an error that says so, never success and never refusal.  The
contract is `actors.ports.Connector`; one suite of tests holds every connector to it.

Importing this package imports no client library: each connector's module is imported by whoever needs it.
"""
