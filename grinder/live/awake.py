"""Keeping the processors awake while a run lives.

Law: asked for, never assumed, because it costs power, and on a rented machine perhaps money.  It changes how
soon things are done and nothing of what is done; where it may not be had, the run says so and goes on.

A processor without work sleeps, and waking it takes about as long as deciding an order; an order waits for
two such sleeps while the disk syncs.  Linux takes requests for latency in `/dev/cpu_dma_latency` ("PM QoS")
and forgets them when the file is closed, however the process ends.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from grinder.log import logger

DEVICE: Final = Path("/dev/cpu_dma_latency")

_NONE = struct.pack("i", 0)
"""Microseconds a processor may take to wake."""


@contextmanager
def awake(wanted: bool, device: Path = DEVICE) -> Iterator[bool]:
    """Keep the processors from sleeping, if that is wanted; whether they are kept."""
    handle = _held(device) if wanted else None
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)


def _held(device: Path) -> int | None:
    try:
        handle = os.open(device, os.O_WRONLY)
    except OSError as error:
        _refused(device, error)
        return None
    try:
        os.write(handle, _NONE)
    except OSError as error:
        os.close(handle)
        _refused(device, error)
        return None
    return handle


def _refused(device: Path, error: OSError) -> None:
    logger().warning(
        "the processors are not kept awake",
        device=str(device),
        reason=error.strerror,
        fix="let this user write to the device (a udev rule), or leave live.keep_awake out",
    )
