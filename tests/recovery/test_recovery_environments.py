"""The same ledger and the same digests in every environment: hash seed, time zone, locale, working folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from small_ledgers import REPO, SETTINGS, run_into, trades_file, yaml_of

TWO_GRIDS: dict[str, Any] = {
    **SETTINGS,
    "instruments": {
        **SETTINGS["instruments"],
        "ETHUSDT": {
            "kind": "linear",
            "tick": "0.1",
            "lot": "0.001",
            "leverage": "3",
            "funding_rate_bps": "1",
        },
    },
    "grids": [
        {**SETTINGS["grids"][0], "quote_investment": "4000"},
        {
            "symbol": "ETHUSDT",
            "mode": "neutral",
            "spacing": "geometric",
            "center_price": "61000",
            "spacing_bps": "20",
            "levels_per_side": 8,
            "quantity": "0.005",
        },
    ],
}

ENVIRONMENTS = {
    "plain": {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    "another hash seed": {"PYTHONHASHSEED": "4711", "TZ": "UTC", "LC_ALL": "C.UTF-8"},
    "the far east": {"PYTHONHASHSEED": "0", "TZ": "XXX-14", "LC_ALL": "C.UTF-8"},
    "another locale": {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    "everything": {"PYTHONHASHSEED": "99", "TZ": "YYY11:30", "LC_ALL": "C", "LANG": "tr_TR.UTF-8"},
    "optimised": {"PYTHONHASHSEED": "1", "PYTHONOPTIMIZE": "2", "PYTHONUTF8": "0", "TZ": "UTC"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    trades_file(folder / "btc.csv", 8_000)
    trades_file(folder / "eth.csv", 8_000, seed=8)
    (folder / "grinder.yaml").write_text(yaml_of(TWO_GRIDS))
    return folder


def said(environment: dict[str, str], cwd: Path, *arguments: str) -> dict[str, Any]:
    """What a command says in a fresh process with nothing but this environment."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [sys.executable, "-m", "grinder", *arguments, "--json"],
        capture_output=True,
        cwd=cwd,
        env={**kept, **environment, "PYTHONPATH": str(REPO)},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def test_ledgers_heads_states_and_views_are_equal_in_every_environment(home: Path, tmp_path: Path) -> None:
    ledgers: dict[str, bytes] = {}
    told: dict[str, tuple[object, ...]] = {}
    data = ("--data", f"BTCUSDT={home / 'btc.csv'}", "--data", f"ETHUSDT={home / 'eth.csv'}")
    for name, environment in ENVIRONMENTS.items():
        cwd = tmp_path / name
        cwd.mkdir()
        ran = said(environment, cwd, "backtest", "-c", str(home / "grinder.yaml"), *data, "--out", "run")
        replayed = said(environment, cwd, "replay", "run")
        rebuilt = said(environment, cwd, "rebuild", "run")
        assert ran["fills"] > 10
        assert set(ran["symbols"]) == {"BTCUSDT", "ETHUSDT"}
        assert replayed["identical"], (name, replayed["divergence"])
        ledgers[name] = (cwd / "run" / "ledger.db").read_bytes()
        told[name] = (ran["head"], replayed["head"], replayed["states"], rebuilt["digest"], ran["symbols"])
    for name in ENVIRONMENTS:
        assert told[name] == told["plain"], name
        assert ledgers[name] == ledgers["plain"], f"the ledger of {name!r} differs"


def test_a_ledger_replays_in_an_environment_it_was_not_made_in(home: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = run_into(run, home / "btc.csv")
    found = [said(environment, tmp_path, "replay", "run") for environment in ENVIRONMENTS.values()]
    assert all(one["identical"] for one in found)
    assert {one["head"] for one in found} == {result.head}
    assert len({orjson.dumps(one["states"]) for one in found}) == 1


def test_rows_of_a_market_given_in_two_orders_are_the_same_run(home: Path, tmp_path: Path) -> None:
    one = ("--data", f"BTCUSDT={home / 'btc.csv'}")
    other = ("--data", f"ETHUSDT={home / 'eth.csv'}")
    heads = []
    for number, data in enumerate([(*one, *other), (*other, *one)]):
        arguments = ("-c", str(home / "grinder.yaml"), *data, "--out", f"run-{number}")
        heads.append(said(ENVIRONMENTS["plain"], tmp_path, "backtest", *arguments)["head"])
    assert heads[0] == heads[1]
