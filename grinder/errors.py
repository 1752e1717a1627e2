"""Errors a user can mend, and the exit status each one ends with.

Law: an error names the place (file and line, row or path), the offending value and the fix.  It is
raised at the edge and shown once, by the command line; nothing in between swallows or rewords it.
A bug is not a `UserError`: it keeps its traceback and ends with status 1.
"""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a command's exit status says.  Stable: scripts depend on it."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    """Usage, configuration or data: the message says where and how to mend it."""
    DIVERGED = 3
    """A replay produced another record than the ledger holds."""
    DAMAGED = 4
    """The ledger fails verification."""
    ENVIRONMENT = 5
    """The machine is in the way: a missing extra, a read-only folder, a lock, a full disk."""
    ORDERS_LEFT = 6
    """A run ended, and orders of ours may still work on the exchange."""
    NOT_STORED = 7
    """The ledger could not be written: the run stopped at once, with its memory ahead of the ledger."""
    GAVE_UP = 8
    """A run kept failing and stays down; its orders were cancelled as far as the exchange answered."""
    EXCHANGE = 9
    """The exchange could not be reached, or did not answer as it must; trying again may help."""
    STOOD_DOWN = 10
    """Another process of the run has taken over; this one may stand by."""


class UserError(Exception):
    """One thing that is wrong, where it is, and what mends it.

    Args:
        code: stable dotted name, such as ``config.unknown_key``; scripts match on it.
        what: what is wrong, in one sentence without the place.
        place: ``file:line``, ``file row N`` or a path; empty when there is none.
        value: the offending value as the user wrote it (already redacted when secret).
        fix: what to do about it, in the imperative.
    """

    status = ExitStatus.USAGE

    def __init__(self, code: str, what: str, *, place: str = "", value: str = "", fix: str = "") -> None:
        self.code = code
        self.what = what
        self.place = place
        self.value = value
        self.fix = fix
        super().__init__(self.render())

    def render(self) -> str:
        """The message as a person reads it: place, sentence, value, fix."""
        head = f"{self.place}: {self.what}" if self.place else self.what
        value = f" (got {self.value})" if self.value else ""
        fix = f"\n  fix: {self.fix}" if self.fix else ""
        return f"{head}{value} [{self.code}]{fix}"

    def as_dict(self) -> dict[str, str]:
        """The same facts for ``--json``."""
        return {
            "code": self.code,
            "what": self.what,
            "place": self.place,
            "value": self.value,
            "fix": self.fix,
        }


class ConfigError(UserError):
    """The configuration cannot be run as written."""


class DataError(UserError):
    """Market data cannot be read as what it claims to be."""


class LedgerError(UserError):
    """The ledger is not one, is not ours, or does not verify."""

    status = ExitStatus.DAMAGED


class EnvironmentFault(UserError):
    """The machine, not the input, is in the way."""

    status = ExitStatus.ENVIRONMENT
