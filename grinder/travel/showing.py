"""What the commands that travel through runs say to a person.

Law: presentation only; every figure comes from a result and is shown as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def fork_lines(result: dict[str, Any]) -> Iterator[str]:
    """The outcome of a fork."""
    what = result["settings"]
    changed = ", ".join(f"{key}={value}" for key, value in what.items()) or "nothing changed"
    yield f"forked {result['parent']} after record {result['position']:,}: {changed}"
    yield f"went on with: {result['goes_on_with']}"
    for note in result["notes"]:
        yield f"note: {note}"
    if result["identical"]:
        yield f"identical to the parent through record {result['records']:,}"
    yield (
        f"{result['records']:,} records, {result['fills']} fills, {result['cycles']} cycles; "
        f"equity {result['equity_start']} -> {result['equity_end']}"
    )
    yield f"chain head {result['head']}"


def diff_lines(result: dict[str, Any]) -> Iterator[str]:
    """Two runs held against each other."""
    found = result["first_divergence"]
    if "drift" in result:
        yield "held against a backtest over the run's own market, from its own opening commands"
    elif found is None:
        yield "the ledgers are identical"
    else:
        yield f"first difference at record {found['position']:,}: {found['field']}"
        for side in ("a", "b"):
            one = found[side]
            yield f"  {side}: " + (f"{one['stream']} {one['topic']} {one['state']}" if one else "no record")
            for step in found[f"path_{side}"]:
                yield f"     because of {step['position']} {step['stream']} {step['topic']}"
    orders = result["orders"]
    yield (f"orders: {orders['matched']} in both, {orders['only_a']} only in a, {orders['only_b']} only in b")
    yield from _money_lines("all symbols", result["pnl"])
    for symbol, one in result["pnl"]["symbols"].items():
        yield from _money_lines(symbol, one)
    if "drift" in result:
        drift = result["drift"]
        yield (
            f"fills: {drift['filled_in_both']} orders in both, {drift['filled_only_live']} only live, "
            f"{drift['filled_only_backtest']} only in the backtest"
        )
        if drift["filled_in_both"]:
            yield (
                f"  the backtest fills {drift['time_difference_ms_median']} ms later at the median, "
                f"{drift['time_difference_ms_max']} ms at most; {drift['other_price']} at another price"
            )


def _money_lines(name: str, found: dict[str, Any]) -> Iterator[str]:
    yield f"change of equity, {name}: b less a is {found['difference']}"
    for part, value in found["parts"].items():
        if value != "0":
            yield f"  {part.replace('_', ' ')}: {value}"
    a, b = found.get("last_price_a"), found.get("last_price_b")
    if a and b and a["price"] != b["price"]:
        yield f"  last valued: a at {a['price']} ({a['time']}), b at {b['price']} ({b['time']})"


def export_lines(result: dict[str, Any]) -> Iterator[str]:
    """What was cut out of a run."""
    whose = ", redacted" if result["redacted"] else ""
    yield (
        f"wrote {result['run']}: records {result['first']:,} to {result['last']:,} as {result['records']:,}"
        f"{whose} ({result['bytes'] / 1e3:.0f} kB)"
    )
    if result["carried"]:
        yield (f"the first {result['carried']} carry the state; a record here was {result['offset']:,} later")
    yield f"chain head {result['head']}"


def code_lines(result: dict[str, Any]) -> Iterator[str]:
    """A ledger held against today's code."""
    if result["identical"]:
        yield (
            f"today's code decides the same: {result['decisions']:,} decisions, {result['records']:,} records"
        )
        return
    if result["first"] is not None:
        yield from _first_lines(result["first"])
    yield (
        f"{result['otherwise']:,} of {result['decisions']:,} decisions differ, "
        f"{result['unrouted']:,} records were never asked for, the rules raised {result['raised']:,} times"
    )
    for stream, position in result["lost"].items():
        yield f"  {stream} cannot take over record {position:,}, so it was not asked from there on"
    for topic, count in result["by_topic"].items():
        yield f"  {topic}: {count:,}"


def _first_lines(first: dict[str, Any]) -> Iterator[str]:
    raised = first["raised"]
    does = "raises" if raised is not None else "decides otherwise"
    yield f"today's code first {does} at record {first['position']:,} of {first['stream']}"
    yield f"  asked    {first['message']} (record {first['cause']:,})"
    for name in ("recorded", "decided"):
        one = first[name]
        yield f"  {name:8} {one['topic']} {one['state']}" if one["topic"] else f"  {name:8} nothing"
    if raised is not None:
        yield f"  raised   {raised['exception']}"
        yield f"           in {raised['during']}, {raised['place']}"
    for field, (left, right) in first["changed"].items():
        yield f"  then `{field}` would be {_short(right)} instead of {_short(left)}"
    for step in first["path"]:
        yield f"  because of {step['position']} {step['stream']} {step['topic']}"


def _short(value: Any, most: int = 160) -> str:
    text = str(value)
    return text if len(text) <= most else text[:most] + "..."
