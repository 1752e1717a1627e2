"""The command line: every command reads its arguments, calls what does the work, and shows the result.

Law: no work here and nothing heavy imported before a command needs it, so `grinder --help` answers at once.
Commands are kept by what they are about; importing their files is what adds them to the one group.
"""

from __future__ import annotations

import grinder.cli_ledger
import grinder.cli_live
import grinder.cli_machine
import grinder.cli_travel
import grinder.cli_trial
import grinder.cli_web
import grinder.commands.audit
import grinder.commands.debug
import grinder.commands.explain
import grinder.commands.head  # noqa: F401
from grinder.command_line import main

__all__ = ["main"]
