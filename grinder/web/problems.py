"""What goes wrong in a request, as one answer: a status, a stable code, a sentence and its fix.

Law: a refusal changes nothing, says nothing a stranger could use, and never carries a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grinder.errors import EnvironmentFault, LedgerError, UserError

LONGEST_VALUE = 80


class Problem(Exception):
    """A request that is refused.

    Args:
        status: HTTP status.
        code: stable dotted name; programs match on it.
        detail: what is wrong, in one sentence.
        place: where in what was sent; empty where the sentence says it.
        value: the offending value as it was sent, shortened; never a secret.
        fix: what mends it.
        headers: sent along with the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        place: str = "",
        value: str = "",
        fix: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.place = place
        self.value = value[:LONGEST_VALUE]
        self.fix = fix
        self.headers = dict(headers or {})

    def as_dict(self) -> dict[str, Any]:
        """The body of the answer; empty parts are left out."""
        names = ("detail", "code", "place", "value", "fix")
        return {name: part for name in names if (part := getattr(self, name))}


_STATUS = {"control.not_running": 503, "control.symbol": 404, "ledger.missing": 503}

_STATUS_OF_KIND = {"config": 400, "deploy": 400, "grid": 409, "failover": 409}
"""Terms that cannot be, and what a grid or a run refuses as it is now."""


def problem_of(error: UserError) -> Problem:
    """The answer to a request that met an error of the program's own kind."""
    status = _STATUS.get(error.code, 503 if isinstance(error, EnvironmentFault | LedgerError) else 422)
    status = _STATUS_OF_KIND.get(error.code.partition(".")[0], status)
    # The place is a path of this machine: it helps its owner on the command line, and a stranger here.
    return Problem(status, error.code, error.what, value=error.value if status < 500 else "", fix=error.fix)
