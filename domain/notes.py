"""Inputs that nobody decides from: what the process did, for whoever reads the ledger.

Law: a note is recorded like every other input, in the stream ``input/run``, and goes to no actor.  What an
actor has to know is an input of `domain.inputs`.
"""

from __future__ import annotations

from domain.record import Record, record


@record("RunReport/1")
class RunReport(Record):
    """A process began, stopped trading or ended: ``started``, ``ready``, ``stopping`` or ``stopped``.

    ``forked``: from here on settings are changed (`detail`), and the history is one that did not happen.
    """

    phase: str
    mode: str
    program: str
    detail: str


@record("StreamReport/1")
class StreamReport(Record):
    """What happened to a stream: ``up``, ``down``, ``gap`` or ``stale``."""

    stream: str
    state: str
    detail: str


@record("TapeSegmentReport/1")
class TapeSegmentReport(Record):
    """A segment of the tape was sealed; `sha256` is of the file as it is on disk."""

    name: str
    sha256: str
    frames: int
    bytes: int
    first_ns: int
    last_ns: int


@record("HandOver/1")
class HandOver(Record):
    """An operator asked the process that trades to hand the run over to a standby, by its `node`."""

    node: str
    operator: str


@record("FailoverReport/1")
class FailoverReport(Record):
    """A standby takes the run over, step by step.

    Attributes:
        step: ``lease`` (it was taken), ``cancel`` (no order of the process before is open any more), ``sync``
            (books and exchange were compared), ``activate`` (it trades), ``alert`` (people were told).
        node: who takes over.
        epoch: of the lease; it grows with every taking.
        reason: why; of the other steps what came out.
    """

    step: str
    node: str
    epoch: int
    reason: str


@record("DecisionReport/1")
class DecisionReport(Record):
    """Somebody asked the agents for a decision; it is what they answered, and nothing is traded by it.

    Attributes:
        action: what to do: LONG, SHORT, HOLD, BLOCKED, REDUCE, FLATTEN or EMERGENCY_STOP.
        direction: what won the vote: short, neutral or long.
        size_ppm: the order, of the largest position the limits allow.
        confidence_ppm: how sure.
        stop_share_ppm, target_share_ppm: their distances, of the price; 0 where nothing is entered.
        price: what the shares are of, decimal text as it was observed.
        policy: ``rules``, or the version of the model.
        fallback: code of why the rules decided in a model's place; empty if they did not.
        votes: (agent, what it proposed, direction it votes for, its confidence in ppm) in their turn.
        reasons: (code, sentence); the first decided.
        gates: the halts and pauses in force, as the run itself knew them.
        schema_hash: of the columns of the matrices.
        observation_hash: of everything the decision rests on.
        operator: who asked.
    """

    symbol: str
    action: str
    direction: str
    size_ppm: int
    confidence_ppm: int
    stop_share_ppm: int
    target_share_ppm: int
    price: str
    policy: str
    fallback: str
    votes: tuple[tuple[str, str, str, int], ...]
    reasons: tuple[tuple[str, str], ...]
    gates: tuple[str, ...]
    schema_hash: str
    observation_hash: str
    operator: str


NOTES: tuple[type[Record], ...] = (
    RunReport,
    StreamReport,
    TapeSegmentReport,
    HandOver,
    FailoverReport,
    DecisionReport,
)
