"""What the core needs from an exchange: the one port every session implements.

Law: a session carries out intents and tells what happened as reports; it decides nothing.  It is handed only
intents that are durable, unless it says that nothing it does outlives the process.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from domain.record import Record


class ExchangeSession(Protocol):
    """An exchange, real or simulated, as an edge of the core.

    Attributes:
        outlives_process: whether what it does remains when this process dies.  True for every real
            exchange: intents then leave only after the commit that holds them.  The simulated exchange of a
            backtest lives and dies with the process, so it may be handed intents ahead of the commit, which
            then groups many inputs.
    """

    outlives_process: ClassVar[bool]

    def submit(self, intent: Record, now_ns: int) -> None:
        """Carry out an `OrderSubmitted` or a `CancelSubmitted`; answers come back as reports."""
