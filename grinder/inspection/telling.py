"""A message on standard error while something takes longer than people like to wait.

Law: nothing is said to a pipe, and nothing about what is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

MANY = 100_000


def told(what: str, quiet: bool) -> Callable[[int, int], None]:
    """Says how far something has come: called with (done, total)."""
    if quiet or not sys.stderr.isatty():
        return lambda done, total: None

    def tell(done: int, total: int) -> None:
        if total >= MANY:
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{what}: {done:,} of {total:,} records{end}")
            sys.stderr.flush()

    return tell
