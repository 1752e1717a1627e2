"""The outbox: a core together with the session its intents go to.

Law: an intent leaves only when the records it rests on are durable, if what the session does outlives this
process.  The order of inputs, records and intents is the same either way.
"""

from __future__ import annotations

from actors.core import Core
from actors.ports import ExchangeSession
from domain.record import Record


class Runtime:
    """Lets the core learn, then hands its intents on under the law of the room."""

    def __init__(self, core: Core, session: ExchangeSession) -> None:
        self.core = core
        self.session = session

    def learn(self, report: Record, now_ns: int) -> None:
        """Record an input, let the core answer, and let its intents out.

        Raises:
            CoreFailure: an actor raised.
            Exception: whatever the journal raises; no intent has left then.
        """
        self.core.learn(report, now_ns)
        intents = self.core.take_intents()
        if not intents:
            return
        if self.session.outlives_process:
            self.core.journal.commit()
        for intent in intents:
            self.session.submit(intent, now_ns)
