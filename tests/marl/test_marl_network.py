"""A trained model: what it computes, what is refused, and that the rules decide where it cannot."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import pytest
from decisions import BULLISH, HELD_LONG, parameters, seen, write_model

from grinder.marl.agents.choosing import choose_policy
from grinder.marl.agents.network import HEADS, MANIFEST, SIZES, WEIGHTS, forward, load_network
from grinder.marl.agents.rules import RulePolicy
from grinder.marl.agents.views import risk_view, strategic_view, tactical_view
from grinder.marl.deciding.coordination import decide
from grinder.marl.refusals import MODEL_REFUSALS, ModelRefused


def independent(agent: str, view: np.ndarray) -> list[np.ndarray]:
    """The heads of an agent by matrix products in float64."""
    made = parameters()
    found = view.astype(np.float64)
    last = len(SIZES[agent]) - 2
    for at in range(last + 1):
        found = found @ made[f"{agent}.w{at}"].astype(np.float64) + made[f"{agent}.b{at}"]
        found = np.tanh(found) if at < last else found
    parts = np.split(found, np.cumsum(HEADS[agent])[:-1])
    return [np.exp(part) / np.exp(part).sum() for part in parts]


def test_inference_equals_an_independent_matrix_product(tmp_path: Path) -> None:
    now = seen(BULLISH, position=HELD_LONG)
    found = load_network(write_model(tmp_path)).propose(now)
    strategic, tactical, risk = found.strategic, found.tactical, found.risk
    told = {
        "strategic": (strategic_view(now), [strategic.direction, strategic.size]),
        "tactical": (tactical_view(now, strategic), [tactical.timing, tactical.stop, tactical.scale]),
        "risk": (risk_view(now.risk), [risk.control, risk.multiplier]),
    }
    for agent, (view, heads) in told.items():
        for mine, theirs in zip(heads, independent(agent, view), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-4)


def test_one_layer_by_hand() -> None:
    layers = (
        (np.array([[1.0], [2.0]], np.float32), np.array([0.5], np.float32)),
        (np.array([[2.0, -1.0]], np.float32), np.array([0.0, 1.0], np.float32)),
    )
    # tanh(0.1*1 + 0.2*2 + 0.5) = tanh(1) = 0.761594
    found = forward(layers, np.array([0.1, 0.2], np.float32))
    np.testing.assert_allclose(found, [1.523188, 0.238406], atol=1e-6)


def test_the_views_have_the_sizes_of_the_networks() -> None:
    now = seen(BULLISH)
    strategic = RulePolicy().propose(now).strategic
    views = {
        "strategic": strategic_view(now),
        "tactical": tactical_view(now, strategic),
        "risk": risk_view(now.risk),
    }
    assert {agent: (view.size, view.dtype) for agent, view in views.items()} == {
        "strategic": (637, np.float32),
        "tactical": (428, np.float32),
        "risk": (10, np.float32),
    }
    assert {agent: sizes[1:-1] for agent, sizes in SIZES.items()} == {
        "strategic": (256, 128, 64),
        "tactical": (128, 64, 32),
        "risk": (64, 32),
    }


def test_a_usable_model_decides_and_is_named(tmp_path: Path) -> None:
    found = decide(seen(BULLISH), choose_policy(write_model(tmp_path)))
    assert (found.policy, found.fallback) == ("2024-01", None)
    assert found == decide(seen(BULLISH), choose_policy(tmp_path))


def test_a_network_reads_waiting_as_neutral_on_the_direction_axis(tmp_path: Path) -> None:
    found = load_network(write_model(tmp_path)).propose(seen(BULLISH))
    wait = found.tactical.timing[0]
    assert found.tactical.direction[2] == pytest.approx((1 - wait) * found.strategic.direction[2])


# --- models that cannot be used ------------------------------------------------------------------------

Spoil = Callable[[Path], object]


def no_folder(folder: Path) -> None:
    for name in (MANIFEST, WEIGHTS):
        (folder / name).unlink()
    folder.rmdir()


def not_finite(folder: Path) -> None:
    made = parameters()
    made["risk.b0"][3] = np.nan
    write_model(folder, made)


def overflowing(folder: Path) -> None:
    made = parameters()
    made["risk.w2"][:] = 3e38
    made["risk.b1"][:] = 50
    write_model(folder, made)


def wrong_shape(folder: Path) -> None:
    write_model(folder, {**parameters(), "risk.b0": np.zeros(63, np.float32)})


def missing_array(folder: Path) -> None:
    made = parameters()
    del made["risk.b0"]
    write_model(folder, made)


def objects(folder: Path) -> None:
    write_model(folder, {**parameters(), "risk.b0": np.array([print] * 64, dtype=object)})


def doubles(folder: Path) -> None:
    write_model(folder, {name: one.astype(np.float64) for name, one in parameters().items()})


def other_weights(data: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        from hashlib import sha256

        write_model(folder, sha256=sha256(data).hexdigest())
        (folder / WEIGHTS).write_bytes(data)

    return spoil


def single_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


UNUSABLE: list[tuple[str, Spoil, str]] = [
    ("the folder is gone", no_folder, "model.missing"),
    ("no manifest", lambda folder: (folder / MANIFEST).unlink(), "model.missing"),
    ("no weights", lambda folder: (folder / WEIGHTS).unlink(), "model.missing"),
    ("a manifest that is no JSON", lambda folder: (folder / MANIFEST).write_text("{"), "model.manifest"),
    ("a manifest that is a list", lambda folder: (folder / MANIFEST).write_text("[]"), "model.manifest"),
    ("a manifest with another key", lambda folder: write_model(folder, author="x"), "model.manifest"),
    ("a version that is a number", lambda folder: write_model(folder, version=3), "model.manifest"),
    ("a version with a line break", lambda folder: write_model(folder, version="1\n2"), "model.manifest"),
    ("other sizes", lambda folder: write_model(folder, sizes={"risk": [10, 3]}), "model.manifest"),
    ("other columns", lambda folder: write_model(folder, schema_hash="0" * 64), "model.schema"),
    ("another checksum", lambda folder: write_model(folder, sha256="0" * 64), "model.checksum"),
    ("weights that are no archive", other_weights(b"nothing"), "model.weights"),
    ("weights that are empty", other_weights(b""), "model.weights"),
    ("weights that are one array", other_weights(single_array()), "model.weights"),
    ("a broken archive", other_weights(b"PK\x03\x04" + b"\0" * 40), "model.weights"),
    ("an array of another shape", wrong_shape, "model.weights"),
    ("an array that is missing", missing_array, "model.weights"),
    ("an array of objects", objects, "model.weights"),
    ("weights of another precision", doubles, "model.weights"),
    ("a weight that is not finite", not_finite, "model.not_finite"),
    ("an answer that is not finite", overflowing, "model.not_finite"),
]


@pytest.mark.parametrize(("spoil", "code"), [one[1:] for one in UNUSABLE], ids=[one[0] for one in UNUSABLE])
def test_the_rules_decide_in_place_of_an_unusable_model_and_say_why(
    tmp_path: Path, spoil: Spoil, code: str
) -> None:
    folder = tmp_path / "model"
    write_model(folder)
    spoil(folder)
    now = seen(BULLISH)
    found = decide(now, choose_policy(folder))
    assert found.policy == "rules"
    assert found.fallback is not None
    assert found.fallback.code == code
    assert str(tmp_path) not in found.fallback.text, "a path of this machine is not a caller's business"
    assert found.reasons[-1] == found.fallback
    alone = decide(now, RulePolicy())
    assert (found.action, found.size, found.votes) == (alone.action, alone.size, alone.votes)


def test_without_a_model_the_rules_decide_and_say_so() -> None:
    found = decide(seen(BULLISH), choose_policy(None))
    assert found.policy == "rules"
    assert found.fallback is not None
    assert found.fallback.code == "model.none"


def test_every_refusal_of_a_model_has_a_case() -> None:
    assert {"model.none", *(code for _, _, code in UNUSABLE)} == set(MODEL_REFUSALS)


def test_a_refusal_names_the_file_and_the_fix_to_its_owner(tmp_path: Path) -> None:
    write_model(tmp_path, schema_hash="0" * 64)
    with pytest.raises(ModelRefused) as caught:
        load_network(tmp_path)
    assert caught.value.place == str(tmp_path / MANIFEST)
    assert caught.value.value == "0" * 64
    assert caught.value.fix


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    write_model(tmp_path)
    with (tmp_path / WEIGHTS).open("r+b") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(ModelRefused, match="larger than"):
        load_network(tmp_path)


def test_the_manifest_of_the_tests_is_the_documented_one(tmp_path: Path) -> None:
    write_model(tmp_path)
    assert set(orjson.loads((tmp_path / MANIFEST).read_bytes())) == {
        "version",
        "schema_hash",
        "sha256",
        "sizes",
    }
