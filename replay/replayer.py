"""The replayer: the same inputs to fresh actors, every record compared.

Law: nothing is carried out and nothing outside the ledger is asked.  The replay stops at the first record
that comes out differently and shows both sides and the path of causes that led there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from actors.core import Core
from actors.records import LedgerRow, new_row
from domain.codec import decode, state_digest, state_hash
from replay.compare import Divergence, PlainRow, ReplayJournal, difference

Progress = Callable[[int], None]


@attrs.frozen
class ReplayResult:
    """Outcome of a replay.

    Attributes:
        records: records that came out identical.
        head: chain after the last of them, hex.
        core: went through them.
    """

    identical: bool
    records: int
    head: str
    divergence: Divergence | None
    core: Core = attrs.field(eq=False, repr=False)

    def states(self) -> dict[str, str]:
        """SHA-256 (hex) of every actor's state at the end, by stream."""
        return {name: state_hash(self.core.state_of(name)) for name in self.core.names()}

    def digests(self) -> dict[str, str]:
        """`state_digest` of every actor's state at the end, by stream."""
        return {name: state_digest(self.core.state_of(name)) for name in self.core.names()}


def replay(recorded: Iterable[PlainRow], progress: Progress | None = None) -> ReplayResult:
    """Feed a ledger's inputs to a fresh core and compare every record it writes.

    Raises:
        UnknownTopicError: an input was written by a newer program.
        CoreFailure: an actor raised; the rules cannot read this ledger.
    """
    journal = ReplayJournal(iter(recorded))
    core = Core(journal)
    return outcome(core, journal, follow(core, journal, progress))


def follow(core: Core, journal: ReplayJournal, progress: Progress | None = None) -> bytes:
    """Let a core at rest learn the inputs of the records its journal holds, until they end or differ.

    Returns:
        The chain after the last input that came out identical as a whole.

    Raises:
        UnknownTopicError: an input was written by a newer program.
        CoreFailure: an actor raised; the rules cannot read this ledger.
    """
    head = core.chain
    while journal.expected is not None and journal.divergence is None:
        row: LedgerRow = new_row(journal.expected)
        if row.cause != row.position:
            # The core is at rest, so an event here was once decided and is not decided any more.
            journal.divergence = difference(row, None)
            break
        core.learn(decode(row.topic, row.state), row.ts_ns)
        core.take_intents()  # they left, or will be asked for by reconciling
        if journal.settle():
            head = core.chain
        if progress and journal.compared % 4096 < 16:
            progress(journal.compared)
    return head


def outcome(core: Core, journal: ReplayJournal, head: bytes) -> ReplayResult:
    """What a replay found."""
    return ReplayResult(
        identical=journal.divergence is None,
        records=journal.compared,
        head=head.hex(),
        divergence=journal.divergence,
        core=core,
    )


def causal_path(rows: Callable[[int], LedgerRow | None], position: int, longest: int = 64) -> list[LedgerRow]:
    """Records from `position` back to the input that started it all, nearest first.

    Args:
        rows: looks a record up by its position.
    """
    path: list[LedgerRow] = []
    row = rows(position)
    while row is not None and len(path) < longest:
        path.append(row)
        row = rows(row.cause) if row.cause != row.position else None
    return path
