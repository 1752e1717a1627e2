"""Secrets: where they are looked for, how they are kept, and which keys may not trade."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest
from click.testing import CliRunner

from actors.ports import Permissions
from grinder.cli import main
from grinder.errors import EnvironmentFault, ExitStatus, UserError
from grinder.secrets import (
    Credentials,
    SecretsError,
    account_name,
    judge,
    look_up,
    read_file,
    require,
    secrets_file,
    store_in_keyring,
    write_entry,
)

REPO = Path(__file__).resolve().parents[2]
KEY, SECRET, PASSPHRASE = "the-key-of-a-test", "the-secret-of-a-test", "the-passphrase"


class MemoryKeyring(keyring.backend.KeyringBackend):
    """A keyring of this process; `locked` makes it refuse."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("it is locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("it is locked")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise keyring.errors.PasswordDeleteError("there is none")


@pytest.fixture(autouse=True)
def ring() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    ours = MemoryKeyring()
    keyring.set_keyring(ours)
    yield ours
    keyring.set_keyring(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grinder" / "secrets.json"


def environment(**more: str) -> dict[str, str]:
    return {"HOME": "/nonexistent", **more}


# --- where -----------------------------------------------------------------------------------------------


def test_the_environment_comes_first_then_the_keyring_then_the_file(ring: MemoryKeyring, file: Path) -> None:
    assert look_up("okx", environment(), file=file) is None
    write_entry(file, "okx", Credentials("key-of-the-file", SECRET, PASSPHRASE))
    found = look_up("okx", environment(), file=file)
    assert found == Credentials("key-of-the-file", SECRET, PASSPHRASE)
    store_in_keyring("okx", Credentials("key-of-the-ring", SECRET, PASSPHRASE))
    found = look_up("okx", environment(), file=file)
    assert found is not None and found.key == "key-of-the-ring"
    given = environment(GRINDER_OKX_KEY=KEY, GRINDER_OKX_SECRET=SECRET, GRINDER_OKX_PASSPHRASE=PASSPHRASE)
    assert look_up("okx", given, file=file) == Credentials(KEY, SECRET, PASSPHRASE)


def test_a_test_network_has_keys_of_its_own(file: Path) -> None:
    given = environment(GRINDER_BINANCE_USDM_TESTNET_KEY=KEY, GRINDER_BINANCE_USDM_TESTNET_SECRET=SECRET)
    found = look_up(account_name("binance-usdm", "testnet"), given, file=file)
    assert found is not None
    assert (found.purpose, found.is_for_testing) == ("testnet", True)
    assert look_up(account_name("binance-usdm", "live"), given, file=file) is None


def test_half_of_them_is_refused_with_the_name_of_the_other_half(file: Path) -> None:
    with pytest.raises(SecretsError, match="GRINDER_KRAKEN_SECRET is not") as found:
        look_up("kraken", environment(GRINDER_KRAKEN_KEY=KEY), file=file)
    assert KEY not in found.value.render()


def test_a_run_that_needs_a_key_says_how_to_give_one(file: Path) -> None:
    with pytest.raises(SecretsError) as found:
        require("bybit", environment(), file=file)
    assert "grinder secrets set bybit" in found.value.fix
    assert "GRINDER_BYBIT_KEY" in found.value.fix


def test_a_locked_keyring_or_none_at_all_leaves_the_file(ring: MemoryKeyring, file: Path) -> None:
    write_entry(file, "okx", Credentials(KEY, SECRET, PASSPHRASE))
    ring.locked = True
    assert look_up("okx", environment(), file=file) is not None
    keyring.set_keyring(keyring.backends.fail.Keyring())
    assert look_up("okx", environment(), file=file) is not None
    with pytest.raises(EnvironmentFault, match="no keyring"):
        store_in_keyring("okx", Credentials(KEY, SECRET))


def test_the_file_is_where_the_environment_says() -> None:
    assert secrets_file({"GRINDER_SECRETS_FILE": "/a/b"}) == Path("/a/b")
    assert secrets_file({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/grinder/secrets.json")
    assert secrets_file({"HOME": "/h"}) == Path("/h/.config/grinder/secrets.json")


# --- the file --------------------------------------------------------------------------------------------


def test_the_file_is_made_for_its_owner_alone_and_replaced_in_one_step(file: Path) -> None:
    write_entry(file, "okx", Credentials(KEY, SECRET, PASSPHRASE))
    write_entry(file, "kraken", Credentials("another-key", SECRET))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert set(read_file(file)) == {"okx", "kraken"}
    write_entry(file, "okx", None)
    assert set(read_file(file)) == {"kraken"}
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o700 | 0o010, 0o601])
def test_a_file_others_can_reach_is_refused_with_its_mode_and_the_fix(file: Path, mode: int) -> None:
    write_entry(file, "okx", Credentials(KEY, SECRET, PASSPHRASE))
    file.chmod(mode)
    with pytest.raises(SecretsError) as found:
        look_up("okx", environment(), file=file)
    assert found.value.code == "secrets.file_mode"
    assert found.value.value == f"mode {mode:04o}"
    assert found.value.fix == f"chmod 600 {file}"
    with pytest.raises(SecretsError):
        write_entry(file, "okx", None)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_strict_file_is_read(file: Path, mode: int) -> None:
    write_entry(file, "okx", Credentials(KEY, SECRET, PASSPHRASE))
    file.chmod(mode)
    assert look_up("okx", environment(), file=file) is not None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(file: Path) -> None:
    write_entry(file, "okx", Credentials(KEY, SECRET, PASSPHRASE))
    os.chown(file, 12345, -1)
    with pytest.raises(SecretsError) as found:
        look_up("okx", environment(), file=file)
    assert found.value.code == "secrets.file_owner"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"the-secret-of-a-test"', b"okx: the-secret-of-a-test", b"\xff\xfe", b'{"okx": 1}',
     b'{"okx": {"key": "the-key-of-a-test"}}', b'{"okx": {"key": "a", "secret": 5}}', b'{"okx": null}'],
)  # fmt: skip
def test_a_broken_file_is_refused_without_showing_a_piece_of_it(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(UserError) as found:
        look_up("okx", environment(), file=file)
    assert found.value.code == "secrets.unreadable"
    assert "the-secret" not in found.value.render()
    assert found.value.__cause__ is None


# --- which keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "key", "purpose", "trade", "withdraw", "code"),
    [
        ("live", KEY, "", True, False, ""),
        ("live", KEY, "", True, True, "secrets.withdraw"),
        ("live", KEY, "", False, False, "secrets.no_trade"),
        ("live", KEY, "testnet", True, False, "secrets.test_key"),
        ("live", "sim-key", "", True, False, "secrets.test_key"),
        ("testnet", KEY, "testnet", True, True, ""),
        ("testnet", KEY, "testnet", False, False, "secrets.no_trade"),
        ("local", "sim-key", "", True, True, ""),
    ],
)
def test_a_key_is_judged_for_a_mode(
    mode: str, key: str, purpose: str, trade: bool, withdraw: bool, code: str
) -> None:
    credentials = Credentials(key, SECRET, "", purpose)
    try:
        judge(Permissions(trade=trade, withdraw=withdraw), credentials, mode)
    except SecretsError as error:
        assert error.code == code
        assert SECRET not in error.render()
        assert KEY not in error.render()
    else:
        assert code == ""


# --- the commands ----------------------------------------------------------------------------------------


def called(tmp_path: Path, *arguments: str, given: str = "", status: int = 0, **more: str) -> dict:
    variables = {"GRINDER_SECRETS_FILE": str(tmp_path / "s" / "secrets.json"), **more}
    ended = CliRunner().invoke(main, ["secrets", *arguments, "--json"], input=given, env=variables)
    assert ended.exit_code == status, (ended.output, ended.exception)
    assert SECRET not in ended.output
    assert PASSPHRASE not in ended.output
    return json.loads(ended.stdout)


def test_keys_are_set_listed_and_removed(tmp_path: Path, ring: MemoryKeyring) -> None:
    path = str(tmp_path / "s" / "secrets.json")
    assert called(tmp_path, "list") == {"accounts": []}
    three = f"{KEY}\n{SECRET}\n{PASSPHRASE}\n"
    assert called(tmp_path, "set", "okx", "--stdin", given=three) == {
        "account": "okx",
        "place": path,
        "key": "the-***",
    }
    called(tmp_path, "set", "bybit", given=f"{KEY}\n{SECRET}\n\n")
    called(tmp_path, "set", "kraken-testnet", "--keyring", "--stdin", given=f"{KEY}\n{SECRET}\n")
    assert set(ring.kept) == {("grinder", "kraken-testnet")}
    found = called(tmp_path, "list", GRINDER_BINANCE_KEY=KEY, GRINDER_BINANCE_SECRET=SECRET)["accounts"]
    assert {(one["account"], one["place"]) for one in found} == {
        ("binance", "environment"),
        ("bybit", path),
        ("okx", path),
        ("kraken-testnet", "keyring"),
    }
    assert called(tmp_path, "remove", "okx")["removed"] == [path]
    assert called(tmp_path, "remove", "kraken-testnet")["removed"] == ["keyring"]
    assert called(tmp_path, "remove", "okx", status=2)["error"]["code"] == "secrets.missing"


def test_what_is_in_the_environment_cannot_be_removed_by_us(tmp_path: Path) -> None:
    given = {"GRINDER_OKX_KEY": KEY, "GRINDER_OKX_SECRET": SECRET}
    assert called(tmp_path, "remove", "okx", status=2, **given)["error"]["code"] == "secrets.environment"


@pytest.mark.parametrize(
    ("account", "lines", "code"),
    [
        ("okx", f"{KEY}\n{SECRET}\n", "secrets.incomplete"),
        ("bybit", f"{KEY}\n", "secrets.incomplete"),
        ("bybit", "", "secrets.incomplete"),
        ("By bit", f"{KEY}\n{SECRET}\n", "secrets.account"),
    ],
)
def test_what_is_incomplete_is_refused(tmp_path: Path, account: str, lines: str, code: str) -> None:
    assert called(tmp_path, "set", account, "--stdin", given=lines, status=2)["error"]["code"] == code
    assert not (tmp_path / "s").exists()


def test_a_careless_file_is_refused_by_the_command_as_what_the_user_has_to_mend(tmp_path: Path) -> None:
    called(tmp_path, "set", "bybit", "--stdin", given=f"{KEY}\n{SECRET}\n")
    (tmp_path / "s" / "secrets.json").chmod(0o644)
    found = called(tmp_path, "list", status=int(ExitStatus.USAGE))
    assert found["error"]["code"] == "secrets.file_mode"
    assert found["error"]["fix"].startswith("chmod 600 ")


def test_the_keyring_is_imported_only_when_it_is_asked() -> None:
    program = (
        "import sys\n"
        "from grinder.secrets import look_up\n"
        "found = look_up('okx', {'GRINDER_OKX_KEY': 'a-key', 'GRINDER_OKX_SECRET': 'a-secret'})\n"
        "assert found is not None\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('keyring', 'ccxt', 'aiohttp')])\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=REPO, timeout=30, check=True
    )
    assert ended.stdout == "[]\n"
