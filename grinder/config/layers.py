"""Several sources laid over each other: files, then the environment, then the command line.

Law: the later source wins, maps merge key by key, lists and single values replace.  Each value keeps the
place it came from, so a refusal names the source that is to be mended and not the merged result.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from grinder.config.refusals import refusal
from grinder.config.secret import is_secret_name, secret_refusal
from grinder.config.tree import Entry, Node, Scalar, Sequence, Table, Written, loose
from grinder.errors import ConfigError

ENVIRONMENT_PREFIX: Final = "GRINDER__"
_SEPARATOR: Final = "__"

# Below these paths keys are the user's upper-case names (symbols, assets), not settings.
_NAMED: Final = frozenset({("instruments",), ("account", "assets")})
_DEPTH_MAX: Final = 24


def merge(lower: Node, upper: Node) -> Node:
    """``upper`` over ``lower``: two maps merge key by key, anything else is replaced."""
    if not (isinstance(lower, Table) and isinstance(upper, Table)):
        return upper
    entries = dict(lower.entries)
    for key, entry in upper.entries.items():
        below = entries.get(key)
        entries[key] = Entry(entry.place, merge(below.node, entry.node)) if below else entry
    return Table(upper.place if not lower.entries else lower.place, entries)


def with_environment(tree: Table, env: Mapping[str, str], problems: list[ConfigError]) -> Table:
    """Lay ``GRINDER__SECTION__KEY=value`` over the tree; names are matched without regard to case.

    A list is entered by index, as in ``GRINDER__GRIDS__0__ON_STOP``.  Variables with another prefix are
    not looked at.
    """
    for name in sorted(name for name in env if name.startswith(ENVIRONMENT_PREFIX)):
        path = name.removeprefix(ENVIRONMENT_PREFIX).split(_SEPARATOR)
        place = f"environment {name}"
        tree = _placed(tree, path, loose(env[name], place), place, problems)
    return tree


def with_overrides(tree: Table, overrides: Mapping[str, object], problems: list[ConfigError]) -> Table:
    """Lay the command line's values over the tree.

    A key is a dotted path (``risk.orders_per_minute``) or a section name with a nested mapping; inside a
    nested mapping keys are taken as they are.  Text is read as the setting it is for, like a variable.
    """
    for name, value in overrides.items():
        place = f"command line {name}"
        try:
            node = _node(value, place, problems, 0)
        except ConfigError as error:
            problems.append(error)
            continue
        tree = _placed(tree, str(name).split("."), node, place, problems)
    return tree


def _placed(tree: Table, path: list[str], node: Node, place: str, problems: list[ConfigError]) -> Table:
    secret = next((part for part in path if is_secret_name(part)), None)
    try:
        if secret is not None:
            raise secret_refusal(secret, place)
        if not all(path):
            raise _no_place(place, "a name in it is empty")
        placed = _put(tree, path, (), node, place)
    except ConfigError as error:
        problems.append(error)
        return tree
    assert isinstance(placed, Table), "a non-empty path leaves the root a map"
    return placed


def _put(below: Node | None, path: list[str], walked: tuple[str, ...], node: Node, place: str) -> Node:
    if not path:
        return node if below is None else merge(below, node)
    part, rest = path[0], path[1:]
    if isinstance(below, Sequence):
        if not (part.isascii() and part.isdigit() and len(part) < 6 and int(part) < len(below.items)):
            raise _no_place(place, f"the list `{'.'.join(walked)}` has no item `{part}`")
        items = list(below.items)
        items[int(part)] = _put(items[int(part)], rest, (*walked, part), node, place)
        return Sequence(below.place, tuple(items))
    if isinstance(below, Scalar) and below.written is not Written.NULL:
        raise _no_place(place, f"`{'.'.join(walked)}` is a single value and has no keys")
    table = below if isinstance(below, Table) else Table(place, {})
    key = _key(part, table, walked)
    old = table.entries.get(key)
    new = Entry(place, _put(old.node if old else None, rest, (*walked, key), node, place))
    return Table(table.place, {**table.entries, key: new})


def _key(part: str, table: Table, walked: tuple[str, ...]) -> str:
    same = (key for key in table.entries if key.lower() == part.lower())
    return next(same, part.upper() if walked in _NAMED else part.lower())


def _no_place(place: str, why: str) -> ConfigError:
    return refusal(
        "config.override",
        f"it names no place in the configuration: {why}",
        place=place,
        fix="name a setting: GRINDER__SECTION__KEY in the environment, section.key on the command line",
    )


def _node(value: object, place: str, problems: list[ConfigError], depth: int) -> Node:
    if depth > _DEPTH_MAX:
        raise refusal("config.too_large", "the value is nested too deep", place=place, fix="write it flat")
    match value:
        case None:
            return Scalar(place, Written.NULL, "null")
        case bool():
            return Scalar(place, Written.FLAG, str(value).lower())
        case str():
            return loose(str(value), place)
        case int():
            return Scalar(place, Written.INTEGER, _digits(value))
        case Decimal():
            return Scalar(place, Written.TEXT, str(value))
        case float():
            return Scalar(place, Written.FLOAT, repr(value))
        case Mapping():
            secrets = [str(key) for key in value if is_secret_name(str(key))]
            problems.extend(secret_refusal(key, place) for key in secrets)
            entries = {
                str(key): Entry(place, _node(item, place, problems, depth + 1))
                for key, item in value.items()
                if str(key) not in secrets
            }
            return Table(place, entries)
        case list() | tuple():
            return Sequence(place, tuple(_node(item, place, problems, depth + 1) for item in value))
    raise refusal(
        "config.wrong_type",
        "the value is of a type no setting takes",
        place=place,
        value=type(value).__name__,
        fix="give text, a whole number, true, false, null, a list or a map",
    )


def _digits(number: int) -> str:
    # Python refuses to print integers of more than some thousand digits; none is a setting.
    return str(number) if number.bit_length() < 1024 else "9" * 400
