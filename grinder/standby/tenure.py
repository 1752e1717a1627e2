"""The lease as its holder sees it: renewed by every heartbeat, and lost the moment another holds it.

Law: `holds` is asked before anything is sent.  It is true only while the last heartbeat is younger than the
lease lasts, so a process that was stopped for longer sends nothing when it goes on, before it has looked
whether the lease is still its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from grinder.log import logger
from grinder.observation.health import HealthReport
from grinder.standby.beats import ACTIVE, EVERY_S, STARTING, Beat, say
from grinder.standby.lease import LEASE_S, STOPPING, Lease, LeaseLost, end, read_lease, restore
from grinder.standby.processes import NS, boot_ns

MENDABLE = ("exchange_connection", "data_freshness", "position_sync", "ledger")
"""Checks that may fail in one process and not in another; a halt or a full disk is the same for both."""


class Rounds:
    """Counts rounds of health checks, as far as another process might mend what failed."""

    def __init__(self) -> None:
        self.failed = 0
        self.was_well = False
        self._last: HealthReport | None = None

    def look(self, report: HealthReport) -> None:
        """Take the latest round; the same one again says nothing new."""
        if report is self._last or not report.results:
            return
        self._last = report
        well = all(one.healthy for one in report.results if one.name in MENDABLE)
        self.failed = 0 if well else self.failed + 1
        self.was_well = self.was_well or well


class Tenure:
    """One holding of the lease by this process.

    Args:
        clock: of `boot_ns`.

    Attributes:
        failover: why it was taken over from another process; empty at a start of its own.
        finish: the run was being stopped: nothing is traded any more, only its orders are put in order.
    """

    def __init__(
        self,
        run: Path,
        lease: Lease,
        failover: str = "",
        lease_s: int = LEASE_S,
        finish: bool = False,
        clock: Callable[[], int] = boot_ns,
    ) -> None:
        self.run = run
        self.lease = lease
        self.failover = failover
        self.finish = finish
        self.rounds = Rounds()
        self._lease_ns = lease_s * NS
        self._clock = clock
        self._renewed_ns = clock()
        self._lost = False
        self._thread: threading.Thread | None = None
        self._no_thread = threading.Event()
        self.beat(STARTING)

    def holds(self) -> bool:
        """Whether this process may send anything now."""
        return not self._lost and self._clock() - self._renewed_ns <= self._lease_ns

    def beat(self, role: str = ACTIVE, position: int = 0, chain: str = "") -> None:
        """Renew the lease, and say how far the ledger is stored.

        A heartbeat that cannot be written is told in the log.  Who cannot say that it lives may be taken over
        from; until the lease shows that it was, it goes on: orders must be cancelled on a full disk too.

        Raises:
            LeaseLost: another process has taken it; from now on `holds` is false.
        """
        began_ns = self._clock()
        try:
            now = read_lease(self.run)
            if now is None:  # somebody removed it; who holds the ledger's lock holds it still
                restore(self.run, self.lease)
                now = read_lease(self.run)
        except OSError as error:
            logger().error("the lease cannot be read", node=self.lease.node, reason=str(error))
            return
        if self._lost or now is None or now.epoch != self.lease.epoch:
            self._lost = True
            raise LeaseLost(now)
        self._renewed_ns = began_ns
        beat = Beat(
            boot=self.lease.boot,
            at_ns=began_ns,
            node=self.lease.node,
            process=self.lease.process,
            role=role,
            epoch=self.lease.epoch,
            position=position,
            chain=chain,
            failed_rounds=self.rounds.failed,
            was_well=self.rounds.was_well,
        )
        say(self.run, beat)

    def beat_by_thread(self) -> None:
        """Keep the lease on a thread while this one cannot: it reads the ledger, or closes what is open."""
        if self._thread is None:
            self._no_thread.clear()
            self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
            self._thread.start()

    def beat_by_hand(self) -> None:
        """From here on this thread keeps it."""
        if self._thread is not None:
            self._no_thread.set()
            self._thread.join()
            self._thread = None

    def _keep(self) -> None:
        while not self._no_thread.wait(EVERY_S):
            with suppress(LeaseLost):  # whoever acts next finds out
                self.beat(STARTING)

    def stops(self) -> None:
        """Say that the run is to end: who takes over from here only puts its orders in order."""
        self._tell(STOPPING)

    def end(self, how: str, heir: str = "") -> None:
        """Say how this holding ended; where that cannot be written, the silence of it has to do."""
        self._lost = True
        self._tell(how, heir)

    def _tell(self, how: str, heir: str = "") -> None:
        try:
            end(self.run, self.lease, how, heir)
        except OSError as error:
            logger().error("the end of the lease cannot be written", reason=str(error), how=how)
