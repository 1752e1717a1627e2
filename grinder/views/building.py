"""Bringing views up to date in a process of its own, so that a server goes on answering meanwhile.

Law: the process does what `grinder.views.store.update` does and nothing else; whoever started it reads in the
views themselves how far it has come.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from grinder.errors import UserError
from grinder.views.store import update

FAR: Final = 20_000
"""Records behind from which on a process is worth its start: about half a second of work."""

_NICE: Final = 5


class Building:
    """One process that brings the views of a run up to date."""

    def __init__(self, run_folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "grinder.views.building", str(run_folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def status(self) -> int | None:
        """Exit status, 0 when the views were brought up to date; None while it works."""
        return self._process.poll()

    def close(self) -> None:
        """End it; what it has stored stays."""
        self._process.kill()
        self._process.wait()


def main(run_folder: Path) -> int:
    """Bring the views up to date; the exit status."""
    os.nice(_NICE)
    try:
        update(run_folder)
    except UserError:
        return 1  # who asks for the views next is told why
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
