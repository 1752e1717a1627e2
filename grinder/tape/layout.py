"""How a segment of the tape is laid out.

Law: a segment is a row of blocks; each carries its own length and checksums, so a torn tail costs the last
block only, and a changed byte is found and named.  `zstd -dc SEGMENT` shows it as JSON lines, because the
blocks' headers are frames a decompressor skips.

A line is one of::

    {"tape":1,"exchange":...,"session":...,"segment":...,"position":...}      the first line of a segment
    [received_ns, turn, position, stream, text]                               a frame
    [received_ns, turn, position, stream, base64, 1]                          a frame that is not UTF-8
    [now_ns, turn, position]                                                  the gate looked at the prices
    {"gap":frames,"first_ns":...,"last_ns":...}                               frames that were lost
    {"end":position}                                                          the run closed the tape
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

import msgspec
import zstandard

from grinder.errors import LedgerError

FORMAT: Final = 1
FOLDER: Final = "tape"
SEALED: Final = ".tape.zst"
OPEN: Final = SEALED + ".part"

LEVEL: Final = 3
LARGEST_BLOCK: Final = 256 << 20
"""Bytes of lines in one block; the writer stays far below, the reader refuses more."""

_SKIPPED: Final = 0x184D2A5A
"""Magic number of a frame every zstd decompressor skips."""

_HEAD: Final = Struct("<IIIIII")
"""Magic, length of the rest of this header (16), then: compressed length, its CRC-32, bytes of lines, number
of lines."""

HEAD_BYTES: Final = _HEAD.size
_NAME: Final = re.compile(r"(\d{6})" + re.escape(SEALED) + r"(\.part)?")


class TapeError(LedgerError):
    """A segment is missing, damaged, or not one."""


class Header(NamedTuple):
    """The first line of a segment.

    Attributes:
        exchange: whose frames they are; names the decoder.
        session: equal for all segments of one process; decoder and gate are fresh where it changes.
        segment: its number.
        position: the ledger's, when the session began.
    """

    exchange: str
    session: int
    segment: int
    position: int


class Frame(NamedTuple):
    """A raw frame: when it came (ns), after which turn of the gate, and after which record of the ledger."""

    received_ns: int
    turn: int
    position: int
    stream: str
    frame: bytes


class Flush(NamedTuple):
    """The gate looked at the newest prices: at this time (ns), for this turn, after this record."""

    now_ns: int
    turn: int
    position: int


class Loss(NamedTuple):
    """Frames that were not kept."""

    frames: int
    first_ns: int
    last_ns: int


class End(NamedTuple):
    """The run closed the tape in order, after this record."""

    position: int


Entry = Header | Frame | Flush | Loss | End


def segment_name(number: int) -> str:
    """File name of a sealed segment."""
    return f"{number:06d}{SEALED}"


def segment_number(path: Path) -> int:
    """The number in a segment's name; 0 for any other file."""
    found = _NAME.fullmatch(path.name)
    return int(found[1]) if found else 0


def segments(folder: Path) -> list[Path]:
    """Segments in a folder, sealed or not, in their order."""
    return sorted(
        (path for path in folder.glob("*" + SEALED + "*") if segment_number(path)), key=segment_number
    )


# --- lines ---------------------------------------------------------------------------------------------


def line_of(entry: Entry) -> bytes:
    """One entry as a line."""
    if isinstance(entry, Frame):
        try:
            fields: object = (*entry[:4], entry.frame.decode())
        except UnicodeDecodeError:
            fields = (*entry[:4], base64.b64encode(entry.frame).decode(), 1)
        return msgspec.json.encode(fields) + b"\n"
    if isinstance(entry, Flush):
        return b"[%d,%d,%d]\n" % entry
    if isinstance(entry, Loss):
        return b'{"gap":%d,"first_ns":%d,"last_ns":%d}\n' % entry
    if isinstance(entry, End):
        return b'{"end":%d}\n' % entry
    return msgspec.json.encode({"tape": FORMAT, **entry._asdict()}) + b"\n"


def entry_of(line: bytes) -> Entry:
    """The entry in a line.

    Raises:
        TapeError: it is none, or a newer program wrote it.
    """
    try:
        found = msgspec.json.decode(line)
        if isinstance(found, list):
            return _listed(found)
        if "tape" in found:
            if found["tape"] > FORMAT:
                raise TapeError(
                    "tape.too_new",
                    f"the tape has format {found['tape']}, this program reads up to {FORMAT}",
                    fix="use the version of grinder that wrote it, or a later one",
                )
            return Header(found["exchange"], found["session"], found["segment"], found["position"])
        if "gap" in found:
            return Loss(found["gap"], found["first_ns"], found["last_ns"])
        return End(found["end"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise TapeError("tape.line", "a line of the tape is none", value=str(line[:80])) from error


def _listed(found: list[object]) -> Entry:
    match found:
        case [int(ns), int(turn), int(position)]:
            return Flush(ns, turn, position)
        case [int(ns), int(turn), int(position), str(stream), str(text)]:
            return Frame(ns, turn, position, stream, text.encode())
        case [int(ns), int(turn), int(position), str(stream), str(text), 1]:
            return Frame(ns, turn, position, stream, base64.b64decode(text, validate=True))
    raise ValueError("neither a frame nor a turn")


# --- blocks --------------------------------------------------------------------------------------------


def block_of(lines: list[bytes]) -> bytes:
    """Lines as one block."""
    text = b"".join(lines)
    body = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(text)
    return _HEAD.pack(_SKIPPED, 16, len(body), zlib.crc32(body), len(text), len(lines)) + body


class BlockHead(NamedTuple):
    """What stands before a block; `length` is of the compressed lines, bytes."""

    length: int
    crc: int
    text_bytes: int
    lines: int


def head_of(data: bytes) -> BlockHead | None:
    """The header in `HEAD_BYTES` bytes; None when they are no header."""
    magic, size, length, crc, text_bytes, lines = _HEAD.unpack(data)
    if magic != _SKIPPED or size != 16 or text_bytes > LARGEST_BLOCK or lines > text_bytes:
        return None
    return BlockHead(length, crc, text_bytes, lines)


def lines_of(head: BlockHead, body: bytes) -> list[bytes] | None:
    """The lines of a block; None when its bytes were changed."""
    if len(body) != head.length or zlib.crc32(body) != head.crc:
        return None
    try:
        text = zstandard.ZstdDecompressor().decompress(body, max_output_size=max(head.text_bytes, 1))
    except zstandard.ZstdError:
        return None
    lines = text.split(b"\n")[:-1]
    return lines if len(text) == head.text_bytes and len(lines) == head.lines else None
