"""Files that only the holder of a key can read: AES-256-GCM, piece by piece.

Law: a file is opened whole and unchanged, or refused; a wrong key is called one, and not taken for damage.
Each piece is bound to its file, its place and to being the last or not, so none can be changed, moved, taken
from another file or cut off.  What is sealed is a finished file: a ledger that is written stays readable to
SQLite, and belongs on an encrypted disk where that is wanted.

Layout: magic, id of the key, eight random bytes (the file's part of every nonce); then for each piece its
length (4 bytes, big-endian; the top bit marks the last) and its bytes with their tag.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from struct import Struct
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grinder.errors import EnvironmentFault, LedgerError, UserError
from grinder.files import OWNER_ONLY, refuse_careless, write_new

ENDING: Final = ".sealed"
KEY_BYTES: Final = 32
MAGIC: Final = b"grinder sealed 1\n"
PIECE: Final = 1 << 20

_ID_BYTES = 8
_FILE_BYTES = 8
_HEADER_BYTES = len(MAGIC) + _ID_BYTES + _FILE_BYTES
_TAG_BYTES = 16
_LENGTH = Struct(">I")
_COUNTER = Struct(">I")
_LAST = 1 << 31

DAMAGED_FIX: Final = "take another copy of the backup"


def key_id(key: bytes) -> str:
    """What tells keys apart and says nothing of them, hex."""
    return sha256(b"grinder backup key\n" + key).digest()[:_ID_BYTES].hex()


def new_key(path: Path, chance: Callable[[int], bytes] = os.urandom) -> bytes:
    """Make a key in a new file that only its owner can read.

    Raises:
        EnvironmentFault: a file is there already, or cannot be written.
    """
    key = chance(KEY_BYTES)
    try:
        write_new(path, base64.b64encode(key) + b"\n", OWNER_ONLY)
    except FileExistsError as error:
        raise EnvironmentFault(
            "backup.key_exists",
            "there is a file of this name already; a key is never overwritten",
            place=str(path),
            fix="choose another name, or use it with --key",
        ) from error
    except OSError as error:
        raise EnvironmentFault(
            "backup.key_not_written",
            f"the key cannot be written: {error.strerror}",
            place=str(path),
            fix="choose a folder you may write to",
        ) from error
    return key


def read_key(path: Path) -> bytes:
    """The key of a file.

    Raises:
        EnvironmentFault: others can read it, or it cannot be read.
        UserError: it holds no key.
    """
    try:
        with path.open("rb") as file:
            refuse_careless(os.fstat(file.fileno()), path, "backup.key", "the key")
            text = file.read(4 * KEY_BYTES)
    except OSError as error:
        raise EnvironmentFault(
            "backup.key_not_read",
            f"the key cannot be read: {error.strerror}",
            place=str(path),
            fix="name the key's file",
        ) from error
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError(
            "backup.no_key",
            f"the file holds no key: {KEY_BYTES} bytes in base64 are wanted",
            place=str(path),
            fix="name the file that `grinder backup --new-key` made",
        )
    return key


def seal(source: Path, target: Path, key: bytes, chance: Callable[[int], bytes] = os.urandom) -> None:
    """Write a new file that only the key opens, durably.

    Raises:
        OSError: one of them cannot be read or written.
    """
    of_file = chance(_FILE_BYTES)
    header = MAGIC + bytes.fromhex(key_id(key)) + of_file
    cipher = AESGCM(key)
    with source.open("rb") as plain, target.open("xb") as sealed:
        sealed.write(header)
        piece, number = plain.read(PIECE), 0
        while True:
            following = plain.read(PIECE)
            length = len(piece) | (0 if following else _LAST)
            sealed.write(_LENGTH.pack(length))
            sealed.write(cipher.encrypt(of_file + _COUNTER.pack(number), piece, _bound(header, length)))
            if not following:
                break
            piece, number = following, number + 1
        sealed.flush()
        os.fsync(sealed.fileno())


def unseal(source: Path, target: Path, key: bytes) -> None:
    """Write what was sealed into a new file; where this raises, what was written is of no use.

    Raises:
        UserError: the key is another one.
        LedgerError: the file is not sealed, or was changed or cut.
        OSError: one of them cannot be read or written.
    """
    with source.open("rb") as sealed, target.open("xb") as plain:
        header = sealed.read(_HEADER_BYTES)
        _require_key(source, header, key)
        cipher, of_file = AESGCM(key), header[-_FILE_BYTES:]
        length = number = 0
        while not length & _LAST:
            length = _length(source, sealed)
            piece = sealed.read((length & ~_LAST) + _TAG_BYTES)
            try:
                plain.write(cipher.decrypt(of_file + _COUNTER.pack(number), piece, _bound(header, length)))
            except InvalidTag as error:
                raise _damaged(source, f"piece {number} was changed or cut") from error
            number += 1
        if sealed.read(1):
            raise _damaged(source, "something was added to its end")
        plain.flush()
        os.fsync(plain.fileno())


def _bound(header: bytes, length: int) -> bytes:
    return header + _LENGTH.pack(length)


def _require_key(source: Path, header: bytes, key: bytes) -> None:
    if len(header) != _HEADER_BYTES or not header.startswith(MAGIC):
        raise _damaged(source, "it does not begin as a sealed file")
    wanted = header[len(MAGIC) : len(MAGIC) + _ID_BYTES].hex()
    if wanted != key_id(key):
        raise UserError(
            "backup.wrong_key",
            f"the key is not the one this was sealed with; the file is not damaged for all that shows: "
            f"it wants key {wanted}",
            place=str(source),
            value=f"key {key_id(key)}",
            fix="name the file of the key it was sealed with",
        )


def _length(source: Path, sealed: BinaryIO) -> int:
    found = sealed.read(_LENGTH.size)
    if len(found) != _LENGTH.size:
        raise _damaged(source, "its end is missing")
    length: int = _LENGTH.unpack(found)[0]
    if length & ~_LAST > PIECE:
        raise _damaged(source, "a piece says it is longer than any can be")
    return length


def _damaged(source: Path, why: str) -> LedgerError:
    return LedgerError(
        "backup.damaged", f"the sealed file is damaged: {why}", place=str(source), fix=DAMAGED_FIX
    )
