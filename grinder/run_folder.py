"""A run is a folder: ledger, views, manifest, lock.

Law: the ledger alone is the run; everything else in the folder can be made again from it.  The manifest says
what the run was made from, for people and for continuing it; it is written whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import orjson

from grinder.errors import EnvironmentFault, LedgerError
from grinder.files import replace_file
from grinder.ledger.place import require_local

MANIFEST_FORMAT = 1


@attrs.frozen
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger file."""
        return self.path / "ledger.db"

    @property
    def views(self) -> Path:
        """The projections' database."""
        return self.path / "views.db"

    @property
    def manifest(self) -> Path:
        """What the run was made from."""
        return self.path / "manifest.json"

    def create(self) -> None:
        """Make the folder.

        Raises:
            EnvironmentFault: it cannot be made or written, or is on a network file system.
        """
        require_local(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                "run.folder",
                f"the run folder cannot be made: {error.strerror}",
                place=str(self.path),
                fix="choose a folder you may write to",
            ) from error

    def require(self) -> None:
        """Raises LedgerError: there is no run here."""
        if not self.ledger.is_file():
            raise LedgerError(
                "ledger.missing", "there is no run here", place=str(self.path), fix="name the folder of a run"
            )

    def read_manifest(self) -> dict[str, Any]:
        """The manifest, or an empty one when there is none.

        Raises:
            LedgerError: it is not the manifest of a run, or a newer program wrote it.
        """
        if not self.manifest.is_file():
            return {}
        try:
            found = orjson.loads(self.manifest.read_bytes())
        except orjson.JSONDecodeError as error:
            raise LedgerError(
                "run.manifest",
                f"the manifest is not JSON: {error}",
                place=str(self.manifest),
                fix="restore it",
            ) from error
        if not isinstance(found, dict) or found.get("format", 0) > MANIFEST_FORMAT:
            raise LedgerError(
                "run.manifest",
                f"the manifest has a format this program ({MANIFEST_FORMAT}) does not read",
                place=str(self.manifest),
                fix="use the version of grinder that wrote it, or a later one",
            )
        return found

    def write_manifest(self, content: dict[str, Any]) -> None:
        """Replace the manifest, durably and in one step."""
        data = orjson.dumps({"format": MANIFEST_FORMAT, **content}, option=orjson.OPT_INDENT_2)
        replace_file(self.manifest, data + b"\n")
