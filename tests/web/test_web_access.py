"""Who may do what: one-time codes, passwords, tokens, locks, the audit log, users on the command line."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import jwt
import orjson
import pytest
from click.testing import CliRunner
from web_rig import COST, NS, PASSWORD, Clock

from grinder.cli import main
from grinder.errors import EnvironmentFault, UserError
from grinder.web.access import totp
from grinder.web.access.attempts import Attempts
from grinder.web.access.audit import Audit
from grinder.web.access.passwords import hashed, matches, nobody
from grinder.web.access.store import AccessStore
from grinder.web.access.tokens import REFRESH, Refused, Tokens
from grinder.web.access.users import Users


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[AccessStore]:
    found = AccessStore(tmp_path / "access.db", clock)
    yield found
    found.close()


# --- one-time codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "algorithm", "expected"),
    [
        (59, "sha1", "94287082"),
        (59, "sha256", "46119246"),
        (59, "sha512", "90693936"),
        (1111111109, "sha1", "07081804"),
        (1111111109, "sha256", "68084774"),
        (1111111109, "sha512", "25091201"),
        (1111111111, "sha1", "14050471"),
        (1111111111, "sha256", "67062674"),
        (1111111111, "sha512", "99943326"),
        (1234567890, "sha1", "89005924"),
        (1234567890, "sha256", "91819424"),
        (1234567890, "sha512", "93441116"),
        (2000000000, "sha1", "69279037"),
        (2000000000, "sha256", "90698825"),
        (2000000000, "sha512", "38618901"),
        (20000000000, "sha1", "65353130"),
        (20000000000, "sha256", "77737706"),
        (20000000000, "sha512", "47863826"),
    ],
)
def test_one_time_codes_are_those_of_the_standard(seconds: int, algorithm: str, expected: str) -> None:
    length = {"sha1": 20, "sha256": 32, "sha512": 64}[algorithm]
    secret = (b"1234567890" * 7)[:length]
    assert totp.code(secret, totp.step_of(seconds * NS), 8, algorithm) == expected


def test_a_code_counts_one_step_to_either_side_and_only_once() -> None:
    secret, now = totp.new_secret(), 1_700_000_000 * NS
    raw, step = totp.secret_bytes(secret), totp.step_of(now)
    for at in (-1, 0, 1):
        assert totp.accepted_step(secret, totp.code(raw, step + at), now, 0) == step + at
    for at in (-2, 2):
        assert totp.accepted_step(secret, totp.code(raw, step + at), now, 0) is None
    assert totp.accepted_step(secret, totp.code(raw, step), now, step) is None, "used"
    assert totp.accepted_step(secret, totp.code(raw, step - 1), now, step) is None, "older than a used one"
    for wrong in ("", "12345", "1234567", "abcdef", "１２３４５６"):
        assert totp.accepted_step(secret, wrong, now, 0) is None


# --- passwords ---------------------------------------------------------------------------------------------


def test_a_password_is_kept_as_a_salted_hash_and_nothing_matches_nobody() -> None:
    one, other = hashed(PASSWORD, COST), hashed(PASSWORD, COST)
    assert one != other
    assert PASSWORD not in one
    assert matches(PASSWORD, one)
    assert not matches(PASSWORD + "x", one)
    assert not matches(PASSWORD, nobody(COST))
    for bad in ("short", "x" * 300):
        with pytest.raises(UserError, match="characters"):
            hashed(bad, COST)


# --- tokens ------------------------------------------------------------------------------------------------


def test_a_token_that_is_expired_forged_revoked_or_of_another_kind_is_refused(
    store: AccessStore, clock: Clock
) -> None:
    tokens = Tokens(store)
    pair = tokens.issue("anna", "viewer")
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    key = store.key("tokens")
    assert tokens.check(pair.access).user == "anna"
    assert claims["exp"] - claims["iat"] == 15 * 60
    forged = {
        "none": jwt.encode(claims, "", algorithm="none"),
        "another algorithm, our key": jwt.encode(claims, key * 2, algorithm="HS512"),
        "HS384, our key": jwt.encode(claims, key + key[:16], algorithm="HS384"),
        "another key": jwt.encode(claims, b"k" * 32, algorithm="HS256"),
        "unknown id": jwt.encode({**claims, "jti": "0" * 32}, key, algorithm="HS256"),
        "another's id": jwt.encode({**claims, "sub": "berta"}, key, algorithm="HS256"),
        "no id": jwt.encode({k: v for k, v in claims.items() if k != "jti"}, key, algorithm="HS256"),
        "no end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, key, algorithm="HS256"),
        "cut": pair.access[:-4],
        "nothing": "",
        "words": "a.b.c",
    }
    for what, text in forged.items():
        with pytest.raises(Refused):
            pytest.fail(f"{what} is taken: {tokens.check(text)}")
    with pytest.raises(Refused, match="kind"):
        tokens.check(pair.refresh)
    clock.forward(15 * 60 + 1)
    with pytest.raises(Refused, match="expired"):
        tokens.check(pair.access)
    assert tokens.check(pair.refresh, REFRESH)
    clock.forward(30 * 24 * 3600)
    with pytest.raises(Refused):
        tokens.check(pair.refresh, REFRESH)


def test_a_refresh_token_is_used_once_and_its_second_use_ends_the_whole_family(store: AccessStore) -> None:
    tokens = Tokens(store)
    first = tokens.issue("anna", "viewer")
    used = tokens.rotate(first.refresh)
    second = tokens.issue("anna", "viewer", used.family)
    assert tokens.check(second.access)
    other = tokens.issue("anna", "viewer")
    with pytest.raises(Refused, match="twice"):
        tokens.rotate(first.refresh)
    for text in (first.access, second.access):
        with pytest.raises(Refused, match="revoked"):
            tokens.check(text)
    with pytest.raises(Refused):
        tokens.rotate(second.refresh)
    assert tokens.check(other.access), "another login goes on"


def test_a_change_of_password_codes_or_the_user_ends_every_session(store: AccessStore) -> None:
    users, tokens = Users(store, COST), Tokens(store)
    users.add("anna", "viewer", PASSWORD)
    for change in (
        lambda: users.set_password("anna", PASSWORD + "!"),
        lambda: users.new_totp("anna"),
        lambda: users.remove_totp("anna"),
        lambda: users.remove("anna"),
    ):
        pair = tokens.issue("anna", "viewer")
        assert tokens.is_alive(tokens.check(pair.access).jti)
        change()
        with pytest.raises(Refused, match="revoked"):
            tokens.check(pair.access)


# --- locks -------------------------------------------------------------------------------------------------


def test_five_failures_in_a_quarter_of_an_hour_lock_for_a_quarter_of_an_hour(
    store: AccessStore, clock: Clock
) -> None:
    attempts = Attempts(store)
    assert [attempts.failed("anna") for _ in range(4)] == [False] * 4
    clock.forward(15 * 60 + 1)
    assert [attempts.failed("anna") for _ in range(4)] == [False] * 4, "the old ones do not count"
    assert attempts.locked_for_s("anna") == 0
    assert attempts.failed("anna")
    assert 899 <= attempts.locked_for_s("anna") <= 900
    assert attempts.locked_for_s("berta") == 0
    clock.forward(15 * 60 + 1)
    assert attempts.locked_for_s("anna") == 0
    attempts.failed("anna")
    attempts.succeeded("anna")
    assert [attempts.failed("anna") for _ in range(4)] == [False] * 4


# --- the audit log -----------------------------------------------------------------------------------------


def test_the_audit_log_can_only_grow_and_a_change_below_the_product_is_located(store: AccessStore) -> None:
    audit = Audit(store)
    for number in range(5):
        audit.write("anna", "pause", f"/api/pause/{number}", "granted", "127.0.0.1", "c0")
    verdict = audit.verify()
    assert (verdict.ok, verdict.rows) == (True, 5)
    for statement in ("UPDATE audit SET user = 'x'", "DELETE FROM audit",
                      "INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE id = 3"):  # fmt: skip
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store.run(statement)
    store.run("DROP TRIGGER audit_no_update")
    store.run("UPDATE audit SET result = 'denied' WHERE id = 3")
    verdict = audit.verify()
    assert (verdict.ok, verdict.first_bad) == (False, 3)


# --- the database and the command line ---------------------------------------------------------------------


def test_a_database_others_can_read_or_that_is_something_else_is_refused(
    tmp_path: Path, clock: Clock
) -> None:
    path = tmp_path / "access.db"
    AccessStore(path, clock).close()
    assert not path.stat().st_mode & 0o077
    path.chmod(0o640)
    with pytest.raises(EnvironmentFault, match="others"):
        AccessStore(path, clock)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("PRAGMA application_id = 7")
    other.chmod(0o600)
    with pytest.raises(EnvironmentFault, match="something else"):
        AccessStore(other, clock)


def test_users_are_kept_from_the_command_line_with_every_change_in_the_audit_log(tmp_path: Path) -> None:
    path = tmp_path / "access.db"
    environment = {"GRINDER_ACCESS_FILE": str(path)}

    def said(*arguments: str, text: str = "", status: int = 0) -> dict[str, object]:
        found = CliRunner().invoke(main, ["users", *arguments, "--json"], input=text, env=environment)
        assert found.exit_code == status, (found.output, found.exception)
        shown = orjson.loads(found.stdout)
        assert isinstance(shown, dict)
        return shown

    assert said("list") == {"users": []}, "there is no default user"
    refused = said("add", "anna", "--stdin", text="short\n", status=2)
    assert refused["error"]["code"] == "users.password"  # type: ignore[index]
    said("add", "anna", "--role", "admin", "--run", "one", "--stdin", text=PASSWORD + "\n")
    assert said("add", "anna", "--stdin", text=PASSWORD + "\n", status=2)["error"]["code"] == "users.taken"  # type: ignore[index]
    for name in ("A", "local", "tradingview", "a b", "x" * 40):
        assert said("add", name, "--stdin", text=PASSWORD + "\n", status=2)["error"]["code"] == "users.name"  # type: ignore[index]
    assert said("list")["users"] == [{"name": "anna", "role": "admin", "totp": False, "runs": ["one"]}]
    codes = said("totp", "anna")
    assert str(codes["address"]).startswith("otpauth://totp/grinder:anna?secret=")
    said("passwd", "anna", "--stdin", text="another long password\n")
    said("totp", "anna", "--off")
    said("remove", "anna")
    assert said("remove", "anna", status=2)["error"]["code"] == "users.unknown"  # type: ignore[index]
    raw = path.read_bytes() + path.with_name("access.db-wal").read_bytes() if path.with_name(
        "access.db-wal").exists() else path.read_bytes()  # fmt: skip
    assert PASSWORD.encode() not in raw
    kept = AccessStore(path, Clock())
    actions = [(one["action"], one["resource"]) for one in reversed(Audit(kept).page(None, 100))]
    assert actions == [
        ("users.add", "anna"),
        ("users.totp", "anna on"),
        ("users.passwd", "anna"),
        ("users.totp", "anna off"),
        ("users.remove", "anna"),
    ]
    assert Audit(kept).verify().ok
    kept.close()
