"""First steps: a sample configuration.

Law: never overwrites a file.
"""

from __future__ import annotations

from pathlib import Path

from grinder.config import sample_config
from grinder.errors import EnvironmentFault, UserError


def write_sample(path: Path) -> None:
    """Write a commented sample configuration.

    Raises:
        UserError: the file exists.
        EnvironmentFault: it cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(sample_config())
    except FileExistsError:
        raise UserError(
            "init.exists", "the file exists already", place=str(path), fix="name another file"
        ) from None
    except OSError as error:
        raise EnvironmentFault(
            "init.not_writable",
            f"the file cannot be written: {error.strerror}",
            place=str(path),
            fix="name a file in a folder you may write to",
        ) from error
