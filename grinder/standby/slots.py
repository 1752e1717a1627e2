"""Small facts in files that are written over in their place.

Law: a file has one size for ever, so a disk that has become full still takes it; it is never synced, because
it tells of this boot of the machine only.  A checksum tells a reader who came in the middle of a writing to
look again, so nobody needs a lock to read.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from grinder.files import OWNER_ONLY

SIZE = 1024
"""Bytes of a file, filled with spaces."""

LOOKS, LOOK_S = 5, 0.002
"""How often a reader looks whose checksum does not fit, and the time between."""


def write_slot(path: Path, facts: dict[str, Any]) -> None:
    """Write facts over those that are there; the folder is made if it is gone.

    Raises:
        OSError: it cannot be written.
    """
    content = orjson.dumps(facts)
    whole = f"{crc32(content):08x} ".encode() + content
    if len(whole) > SIZE:
        raise ValueError(f"{len(whole)} bytes do not fit {path.name}")
    path.parent.mkdir(exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT, OWNER_ONLY)
    try:
        os.pwrite(file, whole.ljust(SIZE), 0)
    finally:
        os.close(file)


def read_slot(path: Path) -> dict[str, Any] | None:
    """The facts in a file; None when there is none, or it holds something else.

    Raises:
        OSError: it is there and cannot be read.
    """
    for _ in range(LOOKS):
        try:
            checksum, _, content = path.read_bytes().rstrip().partition(b" ")
        except FileNotFoundError:
            return None
        if checksum == f"{crc32(content):08x}".encode():
            found = orjson.loads(content)
            return found if isinstance(found, dict) else None
        time.sleep(LOOK_S)
    return None
