"""Simulated exchanges that speak a real exchange's protocol over real sockets.

Law: everything a server says comes from one `replay.exchange.desk.Desk`; a protocol only words it.  Servers
listen on the loopback interface, unless they are told otherwise.
"""
