"""Audits: filters that agree with SQL, conditions that only look, and recipes that run."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stories import REPO, answered, called

from grinder.errors import UserError
from grinder.inspection.filters import Filter, _conditions, select
from grinder.inspection.lookup import Lookup
from grinder.inspection.records import Records


def by_sql(run: Path, where: str) -> list[int]:
    with closing(sqlite3.connect(run / "ledger.db")) as connection:
        sql = f"SELECT rowid FROM stored_events WHERE {where} ORDER BY rowid"
        return [row[0] for row in connection.execute(sql)]


def by_audit(run: Path, *options: object) -> list[int]:
    found = answered("audit", run, "--limit", 0, *options)
    return [one["position"] for one in found["records"]]


FILTERS: Sequence[tuple[tuple[str, ...], str]] = [
    (("--type", "OrderFilled"), "topic = 'OrderFilled/1'"),
    (("--type", "orderfilled/1"), "topic = 'OrderFilled/1'"),
    (("--type", "Order*", "--symbol", "BTCUSDT"), "topic LIKE 'Order%'"),
    (("--type", "FillReport", "--type", "TickReport"), "topic IN ('FillReport/1', 'TickReport/1')"),
    (("--actor", "account"), "originator_id = 'account'"),
    (("--actor", "input"), "originator_id LIKE 'input/%'"),
    (("--actor", "BTCUSDT"), "originator_id = 'symbol/BTCUSDT'"),
    (("--since", "100", "--until", "120"), "rowid BETWEEN 100 AND 120"),
    (("--where", "state ->> '$.level' = 30"), "state ->> '$.level' = 30"),
    (("--type", "LevelFilled", "--where", "state ->> '$.profit' > 0 -- a remark"),
     "topic = 'LevelFilled/1' AND state ->> '$.profit' > 0"),
    (("--actor", "portfolio", "--since", "50"), "originator_id = 'portfolio' AND rowid >= 50"),
    (("--where", "1 OR 1) AND (rowid < 5"), "rowid < 5"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "where"), FILTERS, ids=[" ".join(one) for one, _ in FILTERS])
def test_a_filter_finds_what_sql_finds(capped: Path, options: tuple[str, ...], where: str) -> None:
    found = by_audit(capped, *options)
    assert found == by_sql(capped, where)
    assert found


def test_a_symbol_finds_records_that_name_only_the_order(capped: Path) -> None:
    topics = {
        one["type"] for one in answered("audit", capped, "--symbol", "btcusdt", "--limit", 0)["records"]
    }
    assert topics >= {"OrderAcceptedReport/1", "OrderAccepted/1", "OrderRequested/1", "InstrumentListed/1"}


def test_times_bound_an_audit(capped: Path) -> None:
    with Records(capped) as records:
        row = records.row(200)
        assert row is not None
    whole = by_audit(capped, "--since", str(row.ts_ns), "--until", str(row.ts_ns + 10**12))
    assert whole == by_sql(capped, f"ts_ns >= {row.ts_ns} AND ts_ns < {row.ts_ns + 10**12}")
    assert by_audit(capped, "--until", "1971-01-01") == []


def test_causes_and_consequences_are_walked(story: Path) -> None:
    (filled,) = by_sql(story, "topic = 'LevelFilled/1' AND state ->> '$.fill_id' = 'FILL-A'")
    up = by_audit(story, "--cause-of", filled)
    assert up[-1] == filled
    assert by_sql(story, f"rowid = {up[0]} AND cause = rowid AND topic = 'FillReport/1'")
    down = by_audit(story, "--caused-by", up[0])
    assert set(up) <= set(down)
    assert down == by_sql(story, f"rowid BETWEEN {down[0]} AND {down[-1]}")
    assert by_audit(story, "--caused-by", up[0], "--type", "OrderSubmitted")


def test_the_newest_come_first_when_asked(capped: Path) -> None:
    newest = answered("audit", capped, "--newest", "--limit", 3)
    assert newest["more"]
    with Records(capped) as records:
        assert [one["position"] for one in newest["records"]] == [records.head() - n for n in range(3)]
    of_type = by_audit(capped, "--newest", "--type", "OrderFilled")
    assert of_type == by_sql(capped, "topic = 'OrderFilled/1'")[::-1]


def test_what_is_left_out_is_said(capped: Path) -> None:
    ended = called("audit", capped, "--limit", 2)
    assert "more records pass" in ended.stderr
    assert ended.stdout.count("\n") == 2
    assert "no record passes" in called("audit", capped, "--where", "0").stderr


def test_amounts_are_decoded_when_asked(story: Path) -> None:
    (one,) = answered("audit", story, "--type", "FillReport", "--limit", 1, "--decoded")["records"]
    assert one["state"]["price_ticks"] == "60979"
    assert one["state"]["lots"] == "0.008 BTC"
    assert one["state"]["fee_units"] == "1 USDT"
    (raw,) = answered("audit", story, "--type", "FillReport", "--limit", 1)["records"]
    assert raw["state"]["price_ticks"] == 609_790
    assert "quantity 0.008 BTC" in called("audit", story, "--type", "FillReport", "--decoded").stdout


def test_csv_has_a_line_of_names_and_exact_states(story: Path) -> None:
    out = called("audit", story, "--csv", "--limit", 0).stdout
    lines = list(csv.DictReader(io.StringIO(out)))
    with Records(story) as records:
        rows = list(records.since(1))
    assert [line["state"].encode() for line in lines] == [row.state for row in rows]
    assert [int(line["position"]) for line in lines] == list(range(1, len(rows) + 1))
    assert answered("audit", story, "--csv", status=2)["error"]["code"] == "usage.format"


HARMFUL = [
    "1); DELETE FROM stored_events; --",
    "(DELETE FROM stored_events)",
    "load_extension('x')",
    "1) UNION SELECT * FROM writer_epoch --",
    "(SELECT count(*) FROM sqlite_master) > 0",
    "writefile('/tmp/x', 'x')",
    "1); ATTACH '/tmp/never.db' AS x; --",
    "PRAGMA user_version",
    "nonsense(",
    "no_such_column = 1",
]


@pytest.mark.parametrize("where", HARMFUL)
def test_a_condition_can_only_look(story: Path, where: str) -> None:
    before = (story / "ledger.db").read_bytes()
    refused = answered("audit", story, "--where", where, status=2)["error"]
    assert refused["code"] == "audit.where"
    assert (story / "ledger.db").read_bytes() == before
    assert not Path("/tmp/never.db").exists()


def test_the_connection_itself_refuses_to_write(story: Path) -> None:
    with Records(story) as records, pytest.raises(sqlite3.OperationalError, match="readonly"):
        records.connection.execute("DELETE FROM writer_epoch")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--type", "OrderFiled"), "audit.type"),
        (("--symbol", "ETHUSDT"), "audit.symbol"),
        (("--actor", "nobody"), "audit.actor"),
        (("--cause-of", "99999999"), "audit.position"),
        (("--since", "soon"), "usage.place"),
    ],
)
def test_what_is_not_in_the_ledger_is_refused_with_what_is(
    story: Path, options: tuple[str, ...], code: str
) -> None:
    refused = answered("audit", story, *options, status=2)["error"]
    assert refused["code"] == code
    assert refused["fix"]


def test_an_unknown_type_is_refused_with_those_of_the_ledger(story: Path) -> None:
    error = answered("audit", story, "--type", "Nope", status=2)["error"]
    assert "OrderRejectedReport" in error["fix"] and "TickReport" in error["fix"]


def test_a_filter_by_actor_goes_by_positions_and_not_through_the_whole_actor(capped: Path) -> None:
    wanted = Filter(actors=("input/exchange", "input/market"), where="state ->> '$.lots' > 10", limit=0)
    with Records(capped) as records:
        conditions, values = _conditions(wanted, records.head())
        bounds = "rowid BETWEEN ? AND ? AND rowid IN (1, 2)"
        sql = f"SELECT rowid FROM stored_events WHERE {bounds} AND {conditions}"
        plan = records.connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
    assert any("PRIMARY KEY" in one[3] for one in plan) and not any("autoindex" in one[3] for one in plan)


def test_a_filter_can_be_given_without_a_command(capped: Path) -> None:
    with Records(capped) as records:
        lookup = Lookup(records)
        rows = list(select(records, lookup, Filter(types=("OrderFilled/1",), limit=2)))
        lookup.close()
        assert [row.topic for row in rows] == ["OrderFilled/1"] * 2
        with pytest.raises(UserError):
            list(select(records, None, Filter(where="(")))


# --- the recipes of the document -----------------------------------------------------------------------

RECIPES = re.findall(
    r"```sql\n-- (ledger|views): (.*?)\n(.*?)```", (REPO / "docs/audit.md").read_text(), re.DOTALL
)
COMMANDS = [
    line.removeprefix("grinder ").partition("  #")[0]
    for name in ("audit", "explain", "debug")
    for block in re.findall(r"```console\n(.*?)```", (REPO / f"docs/{name}.md").read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("grinder ")
]


def test_there_are_at_least_ten_recipes() -> None:
    assert len(RECIPES) >= 10


@pytest.mark.parametrize(("place", "what", "sql"), RECIPES, ids=[what for _, what, _ in RECIPES])
def test_a_recipe_of_the_document_runs_and_finds_something(
    capped: Path, place: str, what: str, sql: str
) -> None:
    from grinder.views.store import update

    update(capped)
    with Records(capped) as records:
        row = next(r for r in records.since(1) if r.topic == "OrderFilled/1")
        filled: Any = records.decoded(row)
    file = capped / f"{place}.db"
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        found = connection.execute(
            sql, {"order": filled.client_order_id, "position": row.position}
        ).fetchall()
    assert found, what


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_documents_runs(story: Path, tmp_path: Path, line: str) -> None:
    import shlex

    typed, piped, command = line, "", line
    if "<<<" in line:
        command, _, typed = line.partition(" <<< ")
        piped = shlex.split(typed)[0] + "\n"
    words = [str(story) if word == "RUN" else word for word in shlex.split(command)]
    words = [
        str(tmp_path / word) if word in ("key.pem", "key.pem.pub", "head.json") else word for word in words
    ]
    if "--sign" in words:
        called("head", "--new-key", tmp_path / "key.pem")
    called(*words, text=piped)
