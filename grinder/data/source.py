"""A file opened through whatever it is packed in.

Law: readers see bytes and never a file name.  gzip and single-member zip are looked through, also one
inside the other; a stream that ends early is a fault that names the last line that could be read, not an
exception from a codec.
"""

from __future__ import annotations

import zipfile
import zlib
from functools import cached_property
from pathlib import Path

from grinder.data.faults import DataFault, FaultCode
from grinder.errors import DataError, EnvironmentFault

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
ZIP_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError)
"""What a damaged, foreign or encrypted zip raises."""
HEAD_BYTES = 65_536
"""Enough for the first line of every format (a full depth snapshot is about 40 kB)."""


class Source:
    """One data file.

    `sizes` says whether quantities are wanted; a format that can leave them unread may do so.  `faults` fills
    while the file is unpacked; a source with faults has no usable `data`.
    """

    def __init__(self, path: Path, sizes: bool = True) -> None:
        self.path = path
        self.sizes = sizes
        self.faults: list[DataFault] = []
        try:
            with path.open("rb") as file:
                self.magic = file.read(8)
        except FileNotFoundError as error:
            raise DataError(
                "data.missing", "no such file", place=str(path), fix="check the path given with --data"
            ) from error
        except OSError as error:
            raise EnvironmentFault(
                "data.cannot_open", error.strerror or str(error), place=str(path), fix="check its permissions"
            ) from error

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Member names when the file itself is a zip, else nothing."""
        if not self.magic.startswith(ZIP_MAGIC):
            return ()
        try:
            with zipfile.ZipFile(self.path) as archive:
                return tuple(archive.namelist())
        except ZIP_DAMAGE:
            return ()  # `data` reports it

    @cached_property
    def data(self) -> bytes:
        """The whole content, unpacked; empty when it cannot be."""
        packed = self.path.read_bytes()
        if packed.startswith(ZIP_MAGIC):
            packed = self._unzip()
        return self._gunzip(packed) if packed.startswith(GZIP_MAGIC) else packed

    @property
    def head(self) -> bytes:
        """The first bytes of the content, for recognising it."""
        return self.data[:HEAD_BYTES]

    @cached_property
    def lines(self) -> list[bytes]:
        """The content as lines without their ends, and without a byte order mark."""
        return self.data.removeprefix(b"\xef\xbb\xbf").splitlines()

    def _unzip(self) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if len(names) == 1:
                    return archive.read(names[0])
        except ZIP_DAMAGE as error:
            self._fault(FaultCode.TRUNCATED, 0, "the zip is damaged or cut short", str(error))
            return b""
        self._fault(FaultCode.UNREADABLE, 0, "the zip must hold exactly one file", f"{len(names)} files")
        return b""

    def _gunzip(self, packed: bytes) -> bytes:
        parts: list[bytes] = []
        while packed:
            stream = zlib.decompressobj(wbits=31)
            try:
                parts.append(stream.decompress(packed))
            except zlib.error as error:
                self._cut(parts, "the gzip stream is damaged", str(error))
                return b""
            if not stream.eof:
                self._cut(parts, "the gzip stream ends early", f"{len(packed)} bytes")
                return b""
            packed = stream.unused_data.lstrip(b"\0")
        return b"".join(parts)

    def _cut(self, parts: list[bytes], what: str, value: str) -> None:
        self._fault(FaultCode.TRUNCATED, sum(part.count(b"\n") for part in parts) + 1, what, value)

    def _fault(self, code: FaultCode, row: int, what: str, value: str) -> None:
        self.faults.append(DataFault(code=code, row=row, what=what, value=value))
