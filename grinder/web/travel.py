"""Views as they stood at any record of a ledger.

Law: nothing is kept here but the last few moments asked for; losing them costs a fraction of a second each.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from grinder.views.moment import AnewError, Moment, NotThereError

T = TypeVar("T")

MOST_RECENT: Final = 8
"""Moments held ready: whoever looks at one asks several questions about it."""

__all__ = ["NotThereError", "TimeTravel"]


class TimeTravel:
    """Views of a run at positions.  Safe to use from several threads, one at a time."""

    def __init__(self, views: Path, ledger: Path) -> None:
        self._views = views
        self._ledger = ledger
        self._lock = Lock()
        self._recent: OrderedDict[int, Moment] = OrderedDict()

    def read(self, position: int, question: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the views as they stood after a record; 0 is before the first.

        Raises:
            NotThereError: the views on disk have not come so far yet.
            LedgerError: the ledger cannot be read up to there.
            EnvironmentFault: the views cannot be read.
        """
        with self._lock:
            try:
                return self._at(position).read(question)
            except AnewError:
                self._forget()
                return self._at(position).read(question)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._forget()

    def _at(self, position: int) -> Moment:
        found = self._recent.get(position)
        if found is None:
            found = self._recent[position] = Moment(self._views, self._ledger, position)
            if len(self._recent) > MOST_RECENT:
                self._recent.popitem(last=False)[1].close()
        self._recent.move_to_end(position)
        return found

    def _forget(self) -> None:
        for moment in self._recent.values():
            moment.close()
        self._recent.clear()
