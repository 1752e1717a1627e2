"""Observations, proposals and models told by hand, for decisions whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from grinder.marl.agents.choosing import choose_policy
from grinder.marl.agents.network import MANIFEST, SIZES, WEIGHTS, parameter_shapes
from grinder.marl.agents.odds import Odds
from grinder.marl.agents.policy import Proposal
from grinder.marl.agents.risk import RiskOutput
from grinder.marl.agents.strategic import StrategicOutput
from grinder.marl.agents.tactical import TacticalOutput
from grinder.marl.deciding.coordination import decide
from grinder.marl.deciding.decision import Decision
from grinder.marl.observing.observation import Observation, read_observation
from grinder.marl.schema import SCHEMAS, schema_hash

CALM_RISK: dict[str, Any] = {
    "equity_ratio": 1.0,
    "open_positions": 1,
    "volatility_regime": 0.3,
    "correlation": 0.1,
    "var_5pct": 0.01,
    "drawdown": 0.01,
    "margin_use": 0.2,
    "time_of_day_risk": 0.2,
    "stress": 0.1,
    "liquidity": 0.9,
}

RANGING = {"TRENDING": 0.075, "RANGING": 0.775, "VOLATILE": 0.075, "CRISIS": 0.075}


def matrices(**columns: float) -> dict[str, list[list[float]]]:
    """Matrices of a quiet market, every row alike; ``strategic__mlmi_value=1`` sets a column."""
    quiet = {"strategic__volatility_30": 1.0, "regime__volatility_30": 1.0, **columns}
    return {
        schema.name: [
            [quiet.get(f"{schema.name}__{column}", 0.0) for column in schema.columns]
            for _ in range(schema.rows)
        ]
        for schema in SCHEMAS
    }


def body(columns: Mapping[str, float] | None = None, **parts: Any) -> dict[str, Any]:
    """A body of a quiet market with nothing held; `parts` replace keys, None leaves one out."""
    whole: dict[str, Any] = {
        "matrices": matrices(**(columns or {})),
        "regime_probabilities": RANGING,
        "synergy": {"type": None, "direction": 0, "confidence": 0},
        "position": {"direction": 0, "size": 0, "unrealised": 0},
        "market": {"spread_bps": 1, "atr": 0.004, "imbalance": 0, "price": "61250.5"},
        "risk": CALM_RISK,
    }
    return {key: value for key, value in {**whole, **parts}.items() if value is not None}


BULLISH: dict[str, float] = {
    "strategic__mlmi_value": 0.9,
    "strategic__mlmi_signal": 1.0,
    "strategic__nwrqk_slope": 0.9,
    "strategic__nwrqk_value": 0.3,
    "strategic__momentum_20": 0.6,
    "strategic__momentum_50": 0.5,
    "tactical__fvg_bullish_active": 1.0,
    "tactical__fvg_age": 0.9,
    "tactical__momentum_5": 0.7,
    "tactical__volume_ratio": 0.5,
}
"""A market in which all that points anywhere points up."""


def seen(
    columns: Mapping[str, float] | None = None, gates: tuple[str, ...] = (), **parts: Any
) -> Observation:
    """The observation of `body`."""
    return read_observation(body(columns, **parts), gates)


HELD_LONG = {"direction": 1, "size": 0.4, "unrealised": 0.02}


# --- proposals -----------------------------------------------------------------------------------------

ENTER: Odds = (0.1, 0.8, 0.1)
WAITING: Odds = (0.8, 0.1, 0.1)
CONTROLS: dict[str, Odds] = {
    "none": (0.9, 0.1, 0.0, 0.0, 0.0),
    "alert": (0.3, 0.7, 0.0, 0.0, 0.0),
    "reduce": (0.0, 0.1, 0.9, 0.0, 0.0),
    "flatten": (0.0, 0.0, 0.1, 0.9, 0.0),
    "emergency_stop": (0.0, 0.0, 0.0, 0.1, 0.9),
}
UP: Odds = (0.05, 0.05, 0.9)
DOWN: Odds = (0.9, 0.05, 0.05)
FLAT: Odds = (0.1, 0.8, 0.1)


def proposal(
    strategic: Odds = UP,
    tactical: Odds = UP,
    timing: Odds = ENTER,
    control: str = "none",
    multiplier: Odds = (0.0, 0.0, 0.0, 0.0, 1.0),
    size: Odds = (0.0, 0.0, 0.0, 1.0),
) -> Proposal:
    """Three proposals; by default all are for long, now, of full size, with a stop of 2 ranges."""
    return Proposal(
        strategic=StrategicOutput(direction=strategic, size=size),
        tactical=TacticalOutput(timing, stop=(0.0, 0.0, 1.0, 0.0), scale=(0.0, 1.0, 0.0), direction=tactical),
        risk=RiskOutput(control=CONTROLS[control], multiplier=multiplier),
        policy="told",
    )


# --- models --------------------------------------------------------------------------------------------

Parameters = dict[str, NDArray[Any]]


def parameters(seed: int = 7) -> Parameters:
    """Seeded weights of all three networks."""
    chance = np.random.default_rng(seed)
    return {
        name: chance.normal(0, 0.1, shape).astype(np.float32) for name, shape in parameter_shapes().items()
    }


def write_model(folder: Path, made: Mapping[str, NDArray[Any]] | None = None, **manifest: Any) -> Path:
    """A model's folder; keys of `manifest` replace what a good one says."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / WEIGHTS, **dict(made if made is not None else parameters()))  # type: ignore[arg-type]
    told = {
        "version": "2024-01",
        "schema_hash": schema_hash(),
        "sha256": sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "sizes": {agent: list(sizes) for agent, sizes in SIZES.items()},
        **manifest,
    }
    (folder / MANIFEST).write_bytes(orjson.dumps(told))
    return folder


def decide_by_rules(whole: Mapping[str, Any], gates: tuple[str, ...] = ()) -> Decision:
    """The decision on a body where no model is configured."""
    return decide(read_observation(whole, gates), choose_policy(None))
