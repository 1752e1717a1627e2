"""The chain of the ledger, checked again on the disk while the run goes on.

Law: it only reads, on a thread of its own, and only what is new since the last check: the rest was checked
when the process began.  A chain that is broken is a critical error.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import takewhile
from pathlib import Path

from actors.records import chained
from grinder.errors import LedgerError
from grinder.ledger.reading import connect, rows
from grinder.log import logger
from grinder.observation.alerts import CRITICAL, Alert, Notify

EVERY_S = 60.0


class ChainWatch:
    """Checks what was made durable since the last check.

    Args:
        position, chain: up to where the ledger is known to be whole.
        durable: position of the last durable record.

    Attributes:
        whole: whether every check found the chain whole.
        failures: checks that did not.
    """

    def __init__(
        self, ledger: Path, position: int, chain: bytes, durable: Callable[[], int], notify: Notify
    ) -> None:
        self._ledger = ledger
        self._position = position
        self._chain = chain
        self._durable = durable
        self._notify = notify
        self.whole = True
        self.failures = 0

    async def run(self, every_s: float = EVERY_S) -> None:
        """Check now and then, until cancelled or found broken."""
        while self.whole:
            await asyncio.sleep(every_s)
            await self.look()
        await asyncio.Event().wait()

    async def look(self) -> bool:
        """Check now; whether the chain is whole as far as it was looked at."""
        broken = await asyncio.to_thread(self._broken, self._durable())
        if broken:
            self.whole = False
            self.failures += 1
            self._notify(
                Alert(CRITICAL, "ledger_damaged", text=f"the ledger on the disk is damaged: {broken}")
            )
        return not broken

    def _broken(self, until: int) -> str:
        """What is wrong up to a position; empty when nothing is, or when nobody can say now."""
        try:
            with closing(connect(self._ledger)) as connection:
                for row in takewhile(lambda one: one.position <= until, rows(connection, self._position)):
                    link = chained(
                        self._chain, row.stream, row.version, row.topic, row.ts_ns, row.cause, row.state
                    )
                    if row.position != self._position + 1 or link != row.chain:
                        return f"record {self._position + 1}"
                    self._position, self._chain = row.position, link
        except sqlite3.OperationalError as error:
            logger().warning("the chain could not be checked", reason=str(error))
            return ""
        except (sqlite3.DatabaseError, LedgerError) as error:
            return str(error)
        return "" if self._position == until else f"record {self._position + 1} is missing"
