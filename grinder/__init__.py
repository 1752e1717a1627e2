"""The application: the only room that touches the world.

Law: command line, configuration, files, the ledger on disk and the wiring of it all live here.  No rule does.
"""

__version__ = "0.1.0"
