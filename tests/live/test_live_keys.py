"""Which keys a run with real money takes, in real processes; the exchange is one on this machine.

The connector is the real one of Binance in a package of the test's own, whose addresses are on loopback.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from live_runs import REPO, Running, trading, write_config

from grinder.errors import ExitStatus

MODULE = """
import os
from actors.ports import Permissions
from grinder.connectors.binance.spot import SpotConnector
from grinder.connectors.endpoint import Endpoint

PRODUCTION = Endpoint(rest=os.environ["LOOPBACK_REST"], ws=os.environ["LOOPBACK_WS"],
                      ws_private=os.environ["LOOPBACK_WS_PRIVATE"])
TESTNET = PRODUCTION

class Loopback(SpotConnector):
    name = "loopback"

    async def permissions(self):
        return Permissions(trade=True, withdraw=os.environ.get("MAY_WITHDRAW") == "yes")
"""

KEY, SECRET = "an-ordinary-key-01", "an-ordinary-secret-01"


@attrs.frozen
class Place:
    """A folder with a package, a configuration, and an exchange on this machine."""

    path: Path
    env: dict[str, str]

    def live(self, *options: str, **env: str) -> Running:
        given = options or ("--live", "--i-understand")
        arguments = ("run", "-c", str(self.path / "grinder.yaml"), "--out", "run", "--json", *given)
        return Running(*arguments, cwd=self.path, env={**self.env, **env})


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    options = f"--protocol binance --generated --speed 60 --balance USDT=20000 --key {KEY} --secret {SECRET}"
    process = subprocess.Popen(
        [sys.executable, "-m", "grinder", "sim-exchange", *options.split()],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    line = orjson.loads(process.stdout.readline())
    site = tmp_path / "site"
    about = site / "loopback-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "loopback_exchange.py").write_text(MODULE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: loopback\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[grinder.connectors]\nloopback = loopback_exchange:Loopback\n")
    write_config(
        tmp_path / "grinder.yaml",
        account={"exchange": "other", "connector": "loopback", "balance": "10000"},
    )
    env = {
        "PYTHONPATH": f"{REPO}{os.pathsep}{site}",
        "GRINDER_SECRETS_FILE": str(tmp_path / "secrets.json"),
        "LOOPBACK_REST": line["rest"],
        "LOOPBACK_WS": line["ws"],
        "LOOPBACK_WS_PRIVATE": line["ws_private"],
    }
    yield Place(tmp_path, env)
    process.kill()
    process.communicate()


def with_key(key: str, secret: str = SECRET, account: str = "LOOPBACK") -> dict[str, str]:
    return {f"GRINDER_{account}_KEY": key, f"GRINDER_{account}_SECRET": secret}


def refused(running: Running) -> dict[str, Any]:
    with running:
        code, out, err = running.ended()
    assert code == ExitStatus.USAGE, (out, err.decode()[-2000:])
    found: dict[str, Any] = orjson.loads(out)
    return found


@pytest.mark.parametrize("key", ["grinder", "sim-key"])
def test_a_key_of_the_simulated_exchange_is_refused_for_real_money_before_anything_is_written(
    place: Place, key: str
) -> None:
    found = refused(place.live(**with_key(key)))
    assert found["error"]["code"] == "secrets.test_key"
    assert "--testnet" in found["error"]["fix"]
    assert not (place.path / "run").exists()


def test_a_key_that_is_also_kept_for_the_test_network_is_refused_for_real_money(place: Place) -> None:
    found = refused(place.live(**with_key(KEY), **with_key(KEY, account="LOOPBACK_TESTNET")))
    assert found["error"]["code"] == "secrets.test_key"
    assert not (place.path / "run").exists()


def test_a_key_that_may_withdraw_is_refused_before_any_order_and_one_that_may_not_trades(
    place: Place,
) -> None:
    with place.live(**with_key(KEY), MAY_WITHDRAW="yes") as running:
        code, _, err = running.ended()
    assert code == ExitStatus.USAGE, err.decode()[-2000:]
    assert b"secrets.withdraw" in err
    assert KEY.encode() not in err
    assert SECRET.encode() not in err
    with place.live(**with_key(KEY)) as running:
        found = trading(place.path / "run", orders=5)
        assert found["mode"] == "live"
        running.process.terminate()
        code, _, err = running.ended()
    assert code == ExitStatus.DONE, err.decode()[-2000:]


def test_a_secrets_file_others_can_read_is_refused_by_the_command_with_the_fix(place: Place) -> None:
    file = place.path / "secrets.json"
    file.write_bytes(orjson.dumps({"loopback": {"key": KEY, "secret": SECRET}}))
    file.chmod(0o640)
    found = refused(place.live())
    assert found["error"]["code"] == "secrets.file_mode"
    assert found["error"]["fix"] == f"chmod 600 {file}"
    assert not (place.path / "run").exists()
