"""What a live run keeps beside its ledger, and where it can be spoken to.

Law: the ledger alone is the run; these files help people and the supervisor, and can be deleted while nothing
runs.  The control socket lies in a short path, because the address of a Unix socket holds 108 characters;
the run folder says where.
"""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from grinder.errors import EnvironmentFault
from grinder.files import OWNER_ONLY, replace_file
from grinder.run_folder import RunFolder

LONGEST_ADDRESS = 100

MAIN = "main"
"""Name of the process that `grinder run` starts, among those of a run; standbys have others."""


def socket_path(folder: Path) -> Path:
    """Path of a run's control socket: in the folder if that is short, in a private one if not.

    Raises:
        EnvironmentFault: the private folder belongs to somebody else.
    """
    inside = folder.resolve() / "control.sock"
    if len(str(inside)) <= LONGEST_ADDRESS:
        return inside
    private = Path(tempfile.gettempdir()) / f"grinder-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EnvironmentFault(
            "control.folder",
            "the folder of control sockets is open to others",
            place=str(private),
            fix="remove it; grinder makes it anew with mode 0700",
        )
    return private / f"{sha256(str(folder.resolve()).encode()).hexdigest()[:16]}.sock"


def address_file(folder: Path) -> Path:
    """Where a running process says how to reach it."""
    return folder / "control.json"


def supervisor_file(folder: Path, node: str = MAIN) -> Path:
    """What the supervisor of a node has to remember over its own restart."""
    return folder / ("supervisor.json" if node == MAIN else f"supervisor-{node}.json")


def supervisor_lock(folder: Path, node: str = MAIN) -> Path:
    """What one supervisor of a node at a time holds."""
    return supervisor_file(folder, node).with_suffix(".lock")


def write_private(path: Path, content: dict[str, Any]) -> None:
    """Replace a small JSON file in one step, durably, readable by its owner only."""
    replace_file(path, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n", OWNER_ONLY)


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON file; empty when it is missing or torn."""
    try:
        found = orjson.loads(path.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def folder_of(run: Path) -> RunFolder:
    """The folder of a run that is spoken to.

    Raises:
        LedgerError: there is no run there.
    """
    folder = RunFolder(run)
    folder.require()
    return folder
