"""Signed heads: an Ed25519 signature over a ledger's position and chain, kept elsewhere.

Law: a head says everything about the records before it, so a signature over it dates the whole ledger.  The
key is a file only its owner can read and never leaves it; a signature proves who signed only when it is held
against a public key that came another way.
"""

from __future__ import annotations

import base64
import binascii
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from grinder.errors import EnvironmentFault, LedgerError, UserError
from grinder.files import OWNER_ONLY, refuse_careless, write_new

ALGORITHM = "ed25519"
LARGEST = 64 << 10


@attrs.frozen
class SignedHead:
    """A head with its signature.

    Attributes:
        ledger_id: of the account's books, as in every client order id.
        position, head: what is signed: the last record and the chain there, hex.
        public_key, signature: base64.
    """

    ledger_id: str
    position: int
    head: str
    public_key: str = ""
    signature: str = ""

    def message(self) -> bytes:
        """The bytes that are signed."""
        return f"grinder head 1\n{self.ledger_id}\n{self.position}\n{self.head}\n".encode()

    def as_dict(self) -> dict[str, Any]:
        """As it is kept in a file."""
        found = attrs.asdict(self)
        return {"algorithm": ALGORITHM, **found} if self.signature else found


class SignatureRefused(LedgerError):
    """A signature is not of this ledger, not of this key, or not one."""


def fingerprint(public_key: str) -> str:
    """SHA-256 of a public key (base64), as people compare it."""
    digest = Hash(SHA256())
    digest.update(base64.b64decode(public_key))
    return "SHA256:" + base64.b64encode(digest.finalize()).decode().rstrip("=")


def new_key(path: Path) -> Path:
    """Make a key in a new file (mode 0600), and its public half beside it; returns where that is.

    Raises:
        EnvironmentFault: a file is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    public = path.with_name(path.name + ".pub")
    try:
        write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), OWNER_ONLY)
        try:
            write_new(
                public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644
            )
        except OSError:
            with suppress(OSError):
                path.unlink()
            raise
    except FileExistsError as error:
        raise EnvironmentFault(
            "head.key_exists",
            "there is a file of this name already; a key is never overwritten",
            place=str(error.filename or path),
            fix="choose another name, or move it away",
        ) from error
    except OSError as error:
        raise EnvironmentFault(
            "head.key_not_written",
            f"the key cannot be written: {error.strerror}",
            place=str(path),
            fix="choose a folder you may write to",
        ) from error
    return public


def sign(head: SignedHead, key_file: Path) -> SignedHead:
    """The head with a signature by a key.

    Raises:
        EnvironmentFault: others can read the key, or it cannot be read.
        UserError: the file holds no Ed25519 key.
    """
    key = _private_key(key_file)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    made = attrs.evolve(head, public_key=base64.b64encode(public).decode())
    return attrs.evolve(made, signature=base64.b64encode(key.sign(made.message())).decode())


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        with path.open("rb") as file:
            refuse_careless(os.fstat(file.fileno()), path, "head.key", "the key")
            content = file.read(LARGEST)
    except OSError as error:
        raise EnvironmentFault(
            "head.key", f"the key cannot be read: {error.strerror}", place=str(path),
            fix=f"make one: grinder head RUN --new-key {path}",
        ) from error  # fmt: skip
    found: object = None
    with suppress(ValueError, TypeError, UnsupportedAlgorithm):
        found = load_pem_private_key(content, None)
    if not isinstance(found, Ed25519PrivateKey):
        raise UserError(
            "head.not_a_key",
            "the file holds no Ed25519 key without password",
            place=str(path),
            fix="make one with --new-key",
        )
    return found


def read_signature(path: Path) -> SignedHead:
    """A signed head from a file.

    Raises:
        EnvironmentFault: it cannot be read.
        SignatureRefused: it is not one.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST)
    except OSError as error:
        raise EnvironmentFault(
            "head.signature", f"the signature cannot be read: {error.strerror}", place=str(path),
            fix="make one with `grinder head RUN --sign KEY --json`",
        ) from error  # fmt: skip
    try:
        found = orjson.loads(content)
        if found["algorithm"] != ALGORITHM:
            raise ValueError(found["algorithm"])
        made = SignedHead(
            str(found["ledger_id"]),
            int(found["position"]),
            str(found["head"]),
            str(found["public_key"]),
            str(found["signature"]),
        )
        base64.b64decode(made.signature, validate=True), base64.b64decode(made.public_key, validate=True)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise SignatureRefused(
            "head.not_a_signature",
            "the file is not a signed head",
            place=str(path),
            fix="give the JSON that `grinder head RUN --sign KEY --json` prints",
        ) from error
    return made


def public_key_in(path: Path) -> str:
    """The public key (base64) in a PEM file, or in a file that holds only its base64.

    Raises:
        EnvironmentFault: it cannot be read.
        UserError: it holds no Ed25519 public key.
    """
    try:
        content = path.read_bytes()[:LARGEST]
    except OSError as error:
        raise EnvironmentFault(
            "head.public_key", f"the public key cannot be read: {error.strerror}", place=str(path),
            fix="give the file with .pub that --new-key made",
        ) from error  # fmt: skip
    key: object = None
    with suppress(ValueError, UnsupportedAlgorithm):
        key = load_pem_public_key(content)
    if key is None:
        with suppress(ValueError, binascii.Error):
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(content.strip(), validate=True))
    if not isinstance(key, Ed25519PublicKey):
        raise UserError(
            "head.not_a_public_key", "the file holds no Ed25519 public key", place=str(path),
            fix="give the file with .pub that --new-key made",
        )  # fmt: skip
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def check(signed: SignedHead, public_key: str | None) -> None:
    """Hold a signature against its own key, and that against the one it should be.

    Raises:
        SignatureRefused: it does not hold.
    """
    if public_key is not None and signed.public_key != public_key:
        raise SignatureRefused(
            "head.other_key",
            "another key signed it",
            value=fingerprint(signed.public_key),
            fix=f"the key given is {fingerprint(public_key)}: ask who signed for theirs",
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signed.public_key))
        key.verify(base64.b64decode(signed.signature), signed.message())
    except (InvalidSignature, ValueError) as error:
        raise SignatureRefused(
            "head.signature_wrong",
            "the signature does not fit what it claims to sign",
            value=f"position {signed.position}",
            fix="take the file as it was made: it was changed",
        ) from error
