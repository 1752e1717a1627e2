"""A decision as it is handed to a run, read strictly into the record it becomes.

Law: every text has a length and every figure a bound, so that no record can be larger than its kind.  The
halts it was made under must be those in force at this moment: a decision is never recorded past a halt that
whoever made it had not heard of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from domain.notes import DecisionReport
from grinder.errors import UserError
from grinder.marl.agents.odds import DIRECTIONS
from grinder.marl.deciding.decision import ACTIONS, PPM
from grinder.marl.observing.parts import PRICE

HALTS_CHANGED: Final = "control.halts_changed"
"""Code of the refusal of a decision that was made under other halts: it is to be made anew."""

_PLAIN = r"^[^\x00-\x1f]*$"
Word = Annotated[str, Meta(max_length=64, pattern=r"^[A-Za-z0-9_.:-]*$")]
Text = Annotated[str, Meta(max_length=400, pattern=_PLAIN)]
Ppm = Annotated[int, Meta(ge=0, le=PPM)]
Hash = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The fields of `DecisionReport` within their bounds."""

    symbol: Annotated[str, Meta(min_length=1, max_length=64)]
    action: Word
    direction: Word
    size_ppm: Ppm
    confidence_ppm: Ppm
    stop_share_ppm: Ppm
    target_share_ppm: Ppm
    price: Annotated[str, Meta(pattern=f"^{PRICE.pattern}$")]
    policy: Annotated[str, Meta(min_length=1, max_length=64, pattern=_PLAIN)]
    fallback: Word
    votes: Annotated[tuple[tuple[Word, Text, Word, Ppm], ...], Meta(max_length=8)]
    reasons: Annotated[tuple[tuple[Word, Text], ...], Meta(min_length=1, max_length=64)]
    gates: Annotated[tuple[Text, ...], Meta(max_length=64)]
    schema_hash: Hash
    observation_hash: Hash
    operator: Annotated[str, Meta(max_length=64, pattern=_PLAIN)]


def decision_report(asked: Mapping[str, Any], operator: str, halts: tuple[str, ...]) -> DecisionReport:
    """The record of a decision.

    Args:
        asked: its fields.
        operator: who gives it.
        halts: those in force at this moment.

    Raises:
        UserError: a field does not fit, or the decision was made under other halts.
    """
    try:
        body = msgspec.convert({**asked, "operator": operator}, DecisionBody, strict=True)
    except msgspec.ValidationError as error:
        raise _unfit(str(error)[:300]) from None
    ways = {body.direction, *(direction for _, _, direction, _ in body.votes)}
    if body.action not in ACTIONS or not ways <= set(DIRECTIONS):
        raise _unfit("an action or a direction is not known")
    if tuple(sorted(body.gates)) != halts:
        raise UserError(
            HALTS_CHANGED,
            "halts or pauses are in force that this decision was not made under",
            value=", ".join(halts)[:200] or "none",
            fix="decide anew",
        )
    return DecisionReport(**msgspec.structs.asdict(body))


def _unfit(why: str) -> UserError:
    return UserError(
        "control.decision",
        f"the decision does not fit: {why}",
        fix="give every field of its record within its bounds",
    )
