"""What each command does, without its command line.

Law: a command takes plain arguments and returns a plain result; `grinder/cli.py` reads the arguments and
shows the result.  So a test, a notebook and the command line run the same thing.
"""
