"""Answers and messages made unreadable in the ways real ones have been.

Law: knows no protocol: prices, executed quantities and statuses are found by the names exchanges give them,
and a payload that holds none is left as it is (and said to be).
"""

from __future__ import annotations

import copy
from typing import Any

PRICE_KEYS = frozenset(
    {"p", "price", "px", "fillPx", "execPrice", "lastPx", "last_price", "bid", "ask", "b", "a", "bidPx"}
    | {"askPx", "bids", "asks", "bid1Price", "ask1Price", "limit_price", "descr"}
)
QUANTITY_KEYS = frozenset(
    {"l", "qty", "executedQty", "execQty", "fillSz", "last_qty", "lastQty", "cumExecQty", "accFillSz", "vol"}
    | {"vol_exec", "cum_qty", "z"}
)
STATUS_KEYS = frozenset({"X", "status", "orderStatus", "state", "order_status", "ord_status"})

UNKNOWN_STATUS = "BEWILDERED"


def corrupted(payload: Any, kind: str) -> tuple[Any, bool]:
    """A copy of a JSON payload with the fault in it, and whether there was a place for it."""
    made = copy.deepcopy(payload)
    if kind == "null_price":
        return made, _first(made, PRICE_KEYS, _nulled)
    if kind == "negative_fill":
        return made, _first(made, QUANTITY_KEYS, _negated)
    if kind == "unknown_status":
        return made, _first(made, STATUS_KEYS, lambda value: UNKNOWN_STATUS)
    if kind == "short_batch":
        return made, _shortened(made)
    return made, False


def _nulled(value: Any) -> Any:
    """None for a price; the first price of a list of levels."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return None
    if isinstance(value, list) and value and isinstance(value[0], list) and value[0]:
        value[0][0] = None
        return value
    return value


def _negated(value: Any) -> Any:
    if isinstance(value, str) and value not in ("", "0") and not value.startswith("-"):
        return "-" + value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
        return -value
    return value


def _first(node: Any, keys: frozenset[str], change: Any) -> bool:
    """Change the first value of one of the keys, depth first; whether anything changed."""
    if isinstance(node, list):
        return any(_first(one, keys, change) for one in node)
    if not isinstance(node, dict):
        return False
    for key, value in node.items():
        if key in keys and not isinstance(value, dict):
            before = copy.deepcopy(value)
            node[key] = change(value)
            if node[key] != before:
                return True
        if isinstance(value, (dict, list)) and _first(value, keys, change):
            return True
    return False


def _shortened(node: Any) -> bool:
    """Drop the last item of the first list found."""
    if isinstance(node, list):
        if node:
            node.pop()
            return True
        return False
    return isinstance(node, dict) and any(
        _shortened(value) for value in node.values() if isinstance(value, (dict, list))
    )
