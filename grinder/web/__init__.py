"""The API of runs: read over HTTP and a WebSocket, commanded through the run's own control socket.

Law: a process of its own that never writes a ledger.  It opens ledgers read-only, keeps the views beside them
current, and hands commands to the run, which answers with their position in the ledger.  Every route is one
row of one table; what is not in the table is refused.
"""
