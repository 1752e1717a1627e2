"""What a ledger file is.

Law: the column names are eventsourcing's, so its inherited queries work; `rowid` is the position.  State is
JSON text, so ``SELECT state ->> '$.symbol' FROM stored_events`` works in any SQLite shell.  Nothing can be
updated or deleted: the triggers refuse it even to a person with a shell.
"""

from __future__ import annotations

FORMAT = 1
"""Version of the file's layout."""

APPLICATION_ID = 0x67726E64
"""`PRAGMA application_id` of a ledger: the letters grnd."""

TABLE = "stored_events"

STATEMENTS: tuple[str, ...] = (
    f"""CREATE TABLE IF NOT EXISTS {TABLE} (
        rowid INTEGER PRIMARY KEY,
        originator_id TEXT NOT NULL,
        originator_version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state TEXT NOT NULL,
        ts_ns INTEGER NOT NULL,
        cause INTEGER NOT NULL,
        chain BLOB NOT NULL,
        UNIQUE (originator_id, originator_version))""",
    f"""CREATE TRIGGER IF NOT EXISTS {TABLE}_no_update BEFORE UPDATE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    f"""CREATE TRIGGER IF NOT EXISTS {TABLE}_no_delete BEFORE DELETE ON {TABLE}
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    # REPLACE removes the old row without firing the trigger above.
    f"""CREATE TRIGGER IF NOT EXISTS {TABLE}_no_replace BEFORE INSERT ON {TABLE}
        WHEN NEW.rowid <= (SELECT max(rowid) FROM {TABLE})
            OR EXISTS (SELECT 1 FROM {TABLE}
                WHERE originator_id = NEW.originator_id AND originator_version = NEW.originator_version)
        BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END""",
    """CREATE TABLE IF NOT EXISTS writer_epoch (
        only INTEGER PRIMARY KEY CHECK (only = 1), epoch INTEGER NOT NULL)""",
    "INSERT OR IGNORE INTO writer_epoch VALUES (1, 0)",
)

# A parameter bound as bytes and cast keeps the canonical bytes as text without decoding them in Python.
INSERT = f"INSERT INTO {TABLE} VALUES (?,?,?,?,CAST(? AS TEXT),?,?,?)"

SELECT = (
    "SELECT rowid, originator_id, originator_version, topic, CAST(state AS BLOB), ts_ns, cause, chain "
    f"FROM {TABLE} WHERE rowid > ? ORDER BY rowid"
)
