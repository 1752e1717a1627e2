"""Heads and their signatures."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from stories import answered, called, told

from grinder.inspection.signing import SignedHead, check, fingerprint, new_key, public_key_in, sign


def signed(run: Path, folder: Path) -> tuple[Path, Path]:
    """(signature file, public key file) of a run."""
    key = folder / "key.pem"
    if not key.exists():
        called("head", "--new-key", key)
    (folder / "head.json").write_text(called("head", run, "--sign", key, "--json").stdout)
    return folder / "head.json", folder / "key.pem.pub"


def test_a_head_is_the_last_record_s_place_and_chain(story: Path) -> None:
    found = answered("head", story)
    with closing(sqlite3.connect(story / "ledger.db")) as connection:
        (row,) = connection.execute(
            "SELECT rowid, lower(hex(chain)) FROM stored_events ORDER BY rowid DESC LIMIT 1"
        )
    assert (found["position"], found["head"]) == row
    assert found["ledger_id"] == "0123abcd"
    assert called("head", story).stdout == f"position {row[0]}\nhead {row[1]}\n"


def test_a_signed_head_is_verified_and_goes_on_to_hold_when_the_ledger_grows(
    story: Path, tmp_path: Path
) -> None:
    shorter = told(tmp_path / "shorter", paused=False)
    signature, public = signed(shorter, tmp_path)
    found = answered("verify", shorter, "--signature", signature, "--public-key", public)
    assert found["ok"]
    assert found["key_checked"] == "yes"
    # The story tells the same and then more.
    assert answered("verify", story, "--signature", signature, "--public-key", public)["ok"]
    assert "signed up to record" in called("verify", story, "--signature", signature).stdout
    assert "--public-key" in called("verify", story, "--signature", signature).stderr


def test_a_ledger_that_was_cut_or_rewritten_is_told(story: Path, tmp_path: Path) -> None:
    signature, public = signed(story, tmp_path)
    shorter = told(tmp_path / "shorter", paused=False)
    refused = answered("verify", shorter, "--signature", signature, "--public-key", public, status=4)
    assert refused["error"]["code"] == "head.other_ledger"


def test_a_damaged_record_below_a_good_signature_is_told(story: Path, tmp_path: Path) -> None:
    from small_ledgers import altered

    signature, _ = signed(story, tmp_path)
    with altered(story / "ledger.db") as connection:
        connection.execute("UPDATE stored_events SET state = replace(state, 'USDT', 'USDC') WHERE rowid = 1")
    found = answered("verify", story, "--signature", signature, status=4)
    assert not found["ok"]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("position", 3, "head.signature_wrong"),
        ("head", "00" * 32, "head.signature_wrong"),
        ("signature", base64.b64encode(b"x" * 64).decode(), "head.signature_wrong"),
        ("signature", "not base64 !", "head.not_a_signature"),
        ("algorithm", "rot13", "head.not_a_signature"),
        ("public_key", base64.b64encode(b"x" * 32).decode(), "head.other_key"),
    ],
)
def test_a_changed_signature_is_refused(
    story: Path, tmp_path: Path, field: str, value: Any, code: str
) -> None:
    signature, public = signed(story, tmp_path)
    signature.write_bytes(orjson.dumps({**orjson.loads(signature.read_bytes()), field: value}))
    refused = answered("verify", story, "--signature", signature, "--public-key", public, status=4)
    assert refused["error"]["code"] == code


def test_the_signature_of_another_key_is_refused(story: Path, tmp_path: Path) -> None:
    signature, _ = signed(story, tmp_path)
    called("head", "--new-key", tmp_path / "other.pem")
    refused = answered(
        "verify", story, "--signature", signature, "--public-key", tmp_path / "other.pem.pub", status=4
    )
    assert refused["error"]["code"] == "head.other_key"


def test_a_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    made = answered("head", "--new-key", key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert made["fingerprint"].startswith("SHA256:")
    before = key.read_bytes()
    assert answered("head", "--new-key", key, status=5)["error"]["code"] == "head.key_exists"
    assert key.read_bytes() == before


def test_a_key_that_others_can_read_is_refused(story: Path, tmp_path: Path) -> None:
    signed(story, tmp_path)
    (tmp_path / "key.pem").chmod(0o644)
    refused = answered("head", story, "--sign", tmp_path / "key.pem", status=5)["error"]
    assert refused["code"] == "head.key_mode"
    assert "chmod 600" in refused["fix"]


def test_what_is_no_key_or_no_signature_is_refused(story: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.write_text("hello")
    nothing.chmod(0o600)
    assert answered("head", story, "--sign", nothing, status=2)["error"]["code"] == "head.not_a_key"
    assert answered("head", story, "--sign", tmp_path / "none", status=5)["error"]["code"] == "head.key"
    assert (
        answered("verify", story, "--signature", nothing, status=4)["error"]["code"] == "head.not_a_signature"
    )
    assert answered("verify", story, "--public-key", nothing, status=2)["error"]["code"] == "usage.signature"
    signature, _ = signed(story, tmp_path)
    refused = answered("verify", story, "--signature", signature, "--public-key", nothing, status=2)["error"]
    assert refused["code"] == "head.not_a_public_key"
    assert answered("head", status=2)["error"]["code"] == "usage.run"


def test_a_public_key_may_be_given_as_its_base64_alone(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key.pem")
    text = public_key_in(public)
    (tmp_path / "short.pub").write_text(text + "\n")
    assert public_key_in(tmp_path / "short.pub") == text
    made = sign(SignedHead("0123abcd", 5, "ab" * 32), tmp_path / "key.pem")
    check(made, text)
    assert fingerprint(made.public_key) == fingerprint(text)
