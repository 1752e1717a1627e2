"""`python -m grinder` is the command line.

Law: nothing here but the call.
"""

from grinder.cli import main

main()
