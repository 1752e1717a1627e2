"""`grinder replay RUN --code`: what today's code would have decided otherwise, and where first.

Law: the ledger is only read, and it is right: nothing of what today's code says is taken over.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from grinder.collecting import rare_collections
from grinder.commands.backtest import Progress
from grinder.ledger.faults import readable
from grinder.ledger.reading import connect, plain_rows
from grinder.run_folder import RunFolder
from grinder.travel.parents import row_at
from replay.decisions import Decisions
from replay.replayer import causal_path


def compare_code(run: Path, progress: Progress) -> dict[str, Any]:
    """Hold a run's decisions against today's code.

    Returns:
        ``identical``, ``records``, ``decisions``, ``otherwise``, ``by_topic``, ``unrouted``, ``raised``,
        ``lost`` and ``first`` (None, or where it differs first, with both events, the state before, what each
        leads to, and what the rules raised); see the docs.

    Raises:
        LedgerError: there is no ledger, it is damaged, or a newer program wrote it.
    """
    folder = RunFolder(run)
    folder.require()
    with (
        closing(connect(folder.ledger)) as connection,
        readable(folder.ledger, ValueError),
        rare_collections(),
    ):
        total = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
        found = Decisions().compare(plain_rows(connection), lambda done: progress("code", done, total))
        path = causal_path(lambda at: row_at(connection, at), found.first.cause) if found.first else []
    first = None
    if found.first is not None:
        steps = [{"position": row.position, "stream": row.stream, "topic": row.topic} for row in path]
        first = {**attrs.asdict(found.first), "path": steps}
    return {
        "identical": found.otherwise == found.unrouted == found.raised == 0,
        "records": found.records,
        "decisions": found.decisions,
        "otherwise": found.otherwise,
        "by_topic": found.by_topic,
        "unrouted": found.unrouted,
        "raised": found.raised,
        "lost": found.lost,
        "first": first,
    }
