"""Room on the disk: no new orders before it runs out, and enough kept back for what must still be written.

Law: commits never have to fail for want of room.  With little left, trading pauses and a file kept for this
moment is given up, so cancels and fills are recorded; with room again the file is made anew and trading goes
on by itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from domain.inputs import PauseTrading, ResumeTrading
from domain.record import Record
from grinder.log import logger

REASON = "disk_full"
WHO = "disk"

MB = 1024 * 1024

RESERVE_MB = 16
"""Kept back; some hundred thousand records."""

EVERY_S = 5.0


class Room(Protocol):
    """How much room there is."""

    def __call__(self, path: Path) -> int:
        """Free bytes for this user."""


def free_bytes(path: Path) -> int:
    """Bytes that may still be written beside a path."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


class DiskWatch:
    """Watches the run folder's disk."""

    def __init__(
        self,
        folder: Path,
        least_mb: int,
        learn: Callable[[Record], object],
        paused: bool = False,
        room: Room = free_bytes,
    ) -> None:
        self._folder = folder
        self._reserve = folder / "reserve.bin"
        self._least = least_mb * MB
        self._learn = learn
        self._room = room
        self.is_low = paused
        """Whether trading is paused for want of room; as the ledger says after a restart."""

    def look(self) -> None:
        """Pause or go on, as the disk allows."""
        free = self._room(self._folder)
        if not self.is_low and free < self._least:
            self.is_low = True
            self.make_room()
            logger().error("little room on the disk: no new orders", free_mb=free // MB)
            self._learn(PauseTrading(reason=REASON, symbol="", operator=WHO))
        elif self.is_low and free >= self._least + (RESERVE_MB + 1) * MB:
            self.is_low = False
            self.keep_reserve()
            self._learn(ResumeTrading(reason=REASON, symbol="", operator=WHO))

    def keep_reserve(self) -> None:
        """Take the room that is kept back, where there is enough."""
        if self._reserve.exists() or self._room(self._folder) < self._least + RESERVE_MB * MB:
            return
        with self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE_MB * MB)

    def make_room(self) -> bool:
        """Give the kept room up; says whether there was any.  Called on the journal's thread as well."""
        try:
            self._reserve.unlink()
        except FileNotFoundError:
            return False
        return True

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self.look()
