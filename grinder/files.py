"""Files that are whole or not there, and files that are nobody else's.

Law: whoever reads such a file sees the old content or the new one, also after a power cut; a file that holds
what others must not know is refused when others could have read or changed it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from grinder.errors import EnvironmentFault, UserError

ANYBODY, OWNER_ONLY = 0o666, 0o600
"""Modes a file is made with; the first is narrowed by the user's umask."""


def write_new(path: Path, content: bytes, mode: int = ANYBODY) -> None:
    """Write a file that is not there yet, durably.

    Raises:
        FileExistsError: it is.
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes, mode: int = ANYBODY, *, alone: bool = True) -> None:
    """Write a file or put another in its place, durably and in one step.

    Args:
        alone: nobody else writes it at this moment, as a lock says; so what a killed process left beside it
            is in nobody's use and is written over.

    Raises:
        OSError: it cannot be written; what was there is there.
    """
    # Beside the target, so that renaming stays on one disk and cannot leave half a file.
    temporary = path.with_name(f".{path.name}.tmp" if alone else f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        write_new(temporary, content, mode)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def user_file(environment: Mapping[str, str], variable: str, name: str) -> Path:
    """Where a file of this user is: what a variable says, or in the user's configuration folder."""
    named = environment.get(variable, "")
    if named:
        return Path(named)
    home = environment.get("XDG_CONFIG_HOME") or str(
        Path(environment.get("HOME") or "~").expanduser() / ".config"
    )
    return Path(home) / "grinder" / name


def refuse_careless(
    found: os.stat_result, path: Path, code: str, what: str, fault: type[UserError] = EnvironmentFault
) -> None:
    """Refuse a file that others could have read or changed.

    Args:
        found: asked of the open file where it is open: the path could lead elsewhere a moment later.
        code: what the codes of the refusal begin with.
        what: the file, in words.

    Raises:
        UserError: of the kind `fault`: its mode is too wide, or it is somebody else's.
    """
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise fault(
            f"{code}_mode",
            f"{what} can be read or changed by others",
            place=str(path),
            value=f"mode {mode:04o}",
            fix=f"chmod 600 {path}",
        )
    if found.st_uid != os.getuid():
        raise fault(
            f"{code}_owner",
            f"{what} belongs to somebody else",
            place=str(path),
            value=f"user {found.st_uid}",
            fix=f"chown {os.getuid()} {path}",
        )
