"""Speaking to a running process: one request on its control socket, from any process.

Law: standard library only, so that a command answers at once.  A change is acknowledged when it is durable:
the answer carries the position of the command in the ledger.
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from grinder.errors import EnvironmentFault, UserError
from grinder.live.places import address_file, read_json

TIMEOUT_S = 30.0


class NotRunning(EnvironmentFault):
    """Nothing runs in a folder, or it does not answer."""


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        """Connect to the socket instead of a port."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(self._path)


def ask(
    folder: Path, path: str, body: dict[str, Any] | None = None, timeout_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """One request to the process that runs in a folder: a POST with a body, a GET without.

    Raises:
        NotRunning: nothing runs there, or it did not answer in time.
        UserError: it refused, and says why.
    """
    socket_name = read_json(address_file(folder)).get("socket")
    if not isinstance(socket_name, str):
        raise _nothing(folder, "no process has left its address")
    connection = _SocketConnection(socket_name, timeout_s)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = json.loads(answer.read())
    except (OSError, http.client.HTTPException) as error:
        raise _nothing(folder, str(error) or type(error).__name__) from error
    except ValueError as error:
        raise _nothing(folder, f"its answer cannot be read: {error}") from error
    finally:
        connection.close()
    if not isinstance(found, dict):
        raise _nothing(folder, "its answer is no object")
    if answer.status >= 400 and "error" in found:
        told = found["error"]
        raise UserError(
            str(told.get("code", "control.refused")),
            str(told.get("what", "the run refused")),
            place=str(folder),
            value=str(told.get("value", "")),
            fix=str(told.get("fix", "")),
        )
    return found


def _nothing(folder: Path, why: str) -> NotRunning:
    return NotRunning(
        "control.not_running",
        "nothing answers for this run",
        place=str(folder),
        value=why,
        fix="start it with `grinder paper` or `grinder run`, or name the folder of a run that is under way",
    )
