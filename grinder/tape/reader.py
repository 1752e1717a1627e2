"""Reading segments of the tape, whole ones and those a crash left behind.

Law: what is whole is given, what is not is named with its place; nothing is guessed and no file is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import attrs

from grinder.tape.layout import HEAD_BYTES, BlockHead, Entry, TapeError, entry_of, head_of, lines_of


@attrs.frozen
class Damage:
    """Where a segment stops being readable.

    Attributes:
        offset: bytes before it are whole blocks.
        torn: the file ends there in the middle of a block, as a crash leaves it; otherwise it was changed.
    """

    path: Path
    offset: int
    what: str
    torn: bool

    def render(self) -> str:
        """For people."""
        return f"{self.path.name}: {self.what} at byte {self.offset:,}"


class Segment:
    """One segment.

    Attributes:
        damage: what is wrong with it; None while nothing is known to be.  Complete after all was read.
        whole_bytes: bytes of the blocks read so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: Damage | None = None
        self.whole_bytes = 0

    def entries(self) -> Iterator[Entry]:
        """Everything in it, in order, up to the first damage.

        Raises:
            TapeError: the file cannot be read, or a line of a whole block is none.
        """
        for lines in self._blocks():
            for line in lines:
                yield entry_of(line)

    def ends(self) -> tuple[Entry, Entry] | None:
        """Its first and its last entry, at the price of reading but not of understanding it; None when
        there is no whole block.

        Raises:
            TapeError: as `entries`.
        """
        first = last = b""
        for lines in self._blocks():
            first = first or lines[0]
            last = lines[-1]
        return (entry_of(first), entry_of(last)) if first else None

    def _blocks(self) -> Iterator[list[bytes]]:
        self.damage = None
        self.whole_bytes = 0
        try:
            with self.path.open("rb") as file:
                size = self.path.stat().st_size
                while self.whole_bytes < size and self.damage is None:
                    head_bytes = file.read(HEAD_BYTES)
                    head = head_of(head_bytes) if len(head_bytes) == HEAD_BYTES else None
                    lines = self._checked(head, head_bytes, file.read(head.length) if head else b"", size)
                    if lines is not None and head is not None:
                        self.whole_bytes += HEAD_BYTES + head.length
                        yield lines
        except OSError as error:
            raise TapeError(
                "tape.unreadable",
                f"a segment of the tape cannot be read: {error.strerror}",
                place=str(self.path),
                fix="restore it from a backup",
            ) from error

    def _checked(
        self, head: BlockHead | None, head_bytes: bytes, body: bytes, size: int
    ) -> list[bytes] | None:
        at = self.whole_bytes
        if head is None:
            cut = len(head_bytes) < HEAD_BYTES
            self._found(
                at, "a block begins and does not go on" if cut else "a block's header is damaged", cut
            )
            return None
        if len(body) < head.length:
            self._found(at, f"{head.length - len(body):,} bytes of a block are missing", True)
            return None
        lines = lines_of(head, body)
        if lines is None:
            last = at + HEAD_BYTES + head.length == size
            self._found(at, "a block does not match its checksum", last)
        return lines

    def _found(self, offset: int, what: str, torn: bool) -> None:
        self.damage = Damage(self.path, offset, what, torn)


def file_hash(path: Path) -> str:
    """SHA-256 of a file as it is on disk, hex.

    Raises:
        OSError: it cannot be read.
    """
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
