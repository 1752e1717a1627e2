"""The policy of a trained model: three small networks, each a stack of layers and its heads.

Law: a model is a folder with two files, and it is used only if everything about it fits::

    manifest.json   {"version": …, "schema_hash": …, "sha256": …, "sizes": {"strategic": [637, …, 7], …}}
    weights.npz     {agent}.w0, {agent}.b0, {agent}.w1, …: float32, w (inputs, outputs), b (outputs,)

`schema_hash` is `grinder.marl.schema.schema_hash()`, `sha256` is over the bytes of ``weights.npz``, `sizes`
must be `SIZES`.  Anything else, and any figure that is not finite, is refused with a reason
(`ModelRefused`), and the rules decide.  Arrays of Python objects are never loaded: they could run code.

Hidden layers are ``tanh(x·w + b)``; the last layer is linear, and each head is the softmax of its part of
it.  The products are summed in numpy, input by input, and not by a linear algebra library: those split a sum
by the number of threads, and one observation would have as many answers as machines have cores.
"""

from __future__ import annotations

import io
import itertools
import re
import zipfile
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import orjson
from numpy.typing import NDArray

from grinder.marl.agents.odds import DIRECTIONS, Odds, softmax, through
from grinder.marl.agents.policy import Proposal
from grinder.marl.agents.risk import ACTIONS, MULTIPLIERS, RiskOutput
from grinder.marl.agents.strategic import SIZES as POSITION_SIZES
from grinder.marl.agents.strategic import StrategicOutput
from grinder.marl.agents.tactical import SCALES, STOPS, TIMINGS, WAIT, TacticalOutput
from grinder.marl.agents.views import (
    RISK_LENGTH,
    STRATEGIC_LENGTH,
    TACTICAL_LENGTH,
    Vector,
    risk_view,
    strategic_view,
    tactical_view,
)
from grinder.marl.observing.observation import Observation
from grinder.marl.refusals import model_refused
from grinder.marl.schema import schema_hash

MANIFEST = "manifest.json"
WEIGHTS = "weights.npz"
LARGEST_FILE_BYTES = 64 * 2**20

HEADS: Final[Mapping[str, tuple[int, ...]]] = {
    "strategic": (len(DIRECTIONS), len(POSITION_SIZES)),
    "tactical": (len(TIMINGS), len(STOPS), len(SCALES)),
    "risk": (len(ACTIONS), len(MULTIPLIERS)),
}
"""How many choices each head of an agent has, in the order of its last layer."""

SIZES: Final[Mapping[str, tuple[int, ...]]] = {
    "strategic": (STRATEGIC_LENGTH, 256, 128, 64, sum(HEADS["strategic"])),
    "tactical": (TACTICAL_LENGTH, 128, 64, 32, sum(HEADS["tactical"])),
    "risk": (RISK_LENGTH, 64, 32, sum(HEADS["risk"])),
}
"""Width of each network, from its input to its last layer."""

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]


def parameter_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every array of ``weights.npz``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for agent, sizes in SIZES.items():
        for at, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
            shapes[f"{agent}.w{at}"] = (inputs, outputs)
            shapes[f"{agent}.b{at}"] = (outputs,)
    return shapes


# --- inference -----------------------------------------------------------------------------------------


def forward(layers: Layers, view: Vector) -> Vector:
    """The last layer's figures for an input vector, float32.

    Raises:
        ModelRefused: ``model.not_finite`` if one of them is not.
    """
    found = view
    with np.errstate(over="ignore", invalid="ignore"):
        for at, (weights, bias) in enumerate(layers):
            found = (weights * found[:, np.newaxis]).sum(axis=0) + bias
            if at < len(layers) - 1:
                found = np.tanh(found)
    if not np.isfinite(found).all():
        raise model_refused(
            "model.not_finite",
            "the network's answer is not finite",
            fix="train the model again, or leave it out: the rules decide",
        )
    return found


def heads(agent: str, last: Vector) -> list[Odds]:
    """The odds of each head of an agent."""
    figures = iter(last.tolist())
    return [softmax(list(itertools.islice(figures, count))) for count in HEADS[agent]]


@attrs.frozen(eq=False)
class NetworkPolicy:
    """Proposals of a model.

    Attributes:
        version: as its manifest says.
        layers: of each agent, from the input on.
    """

    version: str
    layers: Mapping[str, Layers]

    def propose(self, seen: Observation) -> Proposal:
        """The proposals of the three networks, each in its turn.

        Raises:
            ModelRefused: ``model.not_finite``.
        """
        direction, size = self._heads("strategic", strategic_view(seen))
        strategic = StrategicOutput(direction, size)
        timing, stop, scale = self._heads("tactical", tactical_view(seen, strategic))
        # Its heads say when, not which way: on the direction axis it repeats the strategic odds, or waits.
        tactical = TacticalOutput(timing, stop, scale, through(direction, 1.0 - timing[WAIT]))
        control, multiplier = self._heads("risk", risk_view(seen.risk))
        return Proposal(strategic, tactical, RiskOutput(control, multiplier), self.version)

    def _heads(self, agent: str, view: Vector) -> list[Odds]:
        return heads(agent, forward(self.layers[agent], view))


# --- reading a model -----------------------------------------------------------------------------------


def load_network(folder: Path) -> NetworkPolicy:
    """The model of a folder.

    Raises:
        ModelRefused: with a code of `MODEL_REFUSALS`, the file and what mends it.
    """
    manifest = _manifest(folder / MANIFEST)
    if (made_for := manifest["schema_hash"]) != schema_hash():
        raise model_refused(
            "model.schema",
            "the model was made for other matrix columns",
            place=str(folder / MANIFEST),
            value=made_for,
            fix=f"train it again for schema {schema_hash()}",
        )
    if manifest["sizes"] != {agent: list(sizes) for agent, sizes in SIZES.items()}:
        raise _bad_manifest(folder / MANIFEST, "`sizes` are not those of this program's networks")
    data = _bytes(folder / WEIGHTS)
    if (found := sha256(data).hexdigest()) != manifest["sha256"]:
        raise model_refused(
            "model.checksum",
            "the weights are not the ones the manifest was written for",
            place=str(folder / WEIGHTS),
            value=found,
            fix="copy both files again from where the model was made",
        )
    return NetworkPolicy(manifest["version"], _layers(_arrays(data, folder / WEIGHTS)))


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size <= LARGEST_FILE_BYTES:
            return path.read_bytes()
        what = f"the file is larger than {LARGEST_FILE_BYTES} bytes"
    except OSError as error:
        what = f"the model's {path.name} cannot be read: {error.strerror or type(error).__name__}"
    raise model_refused(
        "model.missing", what, place=str(path), fix=f"put {MANIFEST} and {WEIGHTS} into the model's folder"
    )


def _bad_manifest(path: Path, what: str) -> Exception:
    return model_refused(
        "model.manifest",
        f"the manifest does not fit: {what}",
        place=str(path),
        fix="write version, schema_hash, sha256 and sizes, and no more",
    )


def _manifest(path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(_bytes(path))
    except orjson.JSONDecodeError:
        raise _bad_manifest(path, "it is not JSON") from None
    if not isinstance(found, dict) or set(found) != {"version", "schema_hash", "sha256", "sizes"}:
        raise _bad_manifest(path, "its keys are not version, schema_hash, sha256 and sizes")
    if not all(isinstance(found[name], str) for name in ("version", "schema_hash", "sha256")):
        raise _bad_manifest(path, "version, schema_hash and sha256 must be text")
    if not _VERSION.fullmatch(found["version"]):
        raise _bad_manifest(path, "the version must be 1 to 64 letters, digits, dots, dashes or underscores")
    return found


def _arrays(data: bytes, path: Path) -> dict[str, NDArray[np.float32]]:
    def bad(what: str, code: str = "model.weights") -> Exception:
        return model_refused(
            code, what, place=str(path), fix="save the weights again, with `numpy.savez` and as float32"
        )

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in sorted(file.files)}
    except (ValueError, OSError, EOFError, KeyError, AttributeError, TypeError) as error:
        raise bad(f"the weights cannot be read: {type(error).__name__}") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, MemoryError, SyntaxError) as error:
        raise bad(f"the weights cannot be read: {type(error).__name__}") from None
    needed = parameter_shapes()
    if set(found) != set(needed):
        raise bad("the weights are not the arrays the networks need")
    for name, shape in needed.items():
        if found[name].shape != shape or found[name].dtype != np.float32:
            raise bad(f"the array {name} must be float32 of shape {shape}")
        if not np.isfinite(found[name]).all():
            raise bad(f"the array {name} holds a figure that is not finite", "model.not_finite")
    return found


def _layers(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Layers]:
    return {
        agent: tuple((arrays[f"{agent}.w{at}"], arrays[f"{agent}.b{at}"]) for at in range(len(sizes) - 1))
        for agent, sizes in SIZES.items()
    }
