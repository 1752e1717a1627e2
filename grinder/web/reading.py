"""What a request carries, read strictly.

Law: a number is a plain number.  JSON that spells one with an exponent, repeats a key, holds NaN, nests
deeply or names a field that is not in the schema is refused, and so is a query that repeats a name.  Only
where figures are measured, not amounts, may they have exponents: every program writes small ones so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

import msgspec
from multidict import MultiMapping

from grinder.web.problems import Problem

S = TypeVar("S", bound=msgspec.Struct)

LONGEST_NUMBER = 32
"""Characters of a number; beyond it nothing here has a use for one."""

LARGEST = 2**63
"""What no column and no position can hold."""

FARTHEST = 64
"""Powers of ten a measured figure may lie from one."""

DEEPEST = 8

_INTEGER = re.compile(r"-?[0-9]{1,19}")


class _Bad(ValueError):
    """The JSON is refused for a reason of ours."""


def _integer(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise _Bad(f"a number of {len(text)} digits")
    return int(text)


def _decimal(text: str) -> Decimal:
    if "e" in text or "E" in text:
        raise _Bad("a number with an exponent")
    if len(text) > LONGEST_NUMBER:
        raise _Bad(f"a number of {len(text)} characters")
    return Decimal(text)


def _measured(text: str) -> Decimal:
    if len(text) > LONGEST_NUMBER:
        raise _Bad(f"a number of {len(text)} characters")
    found = Decimal(text)
    if abs(found.adjusted()) > FARTHEST:
        raise _Bad("a number far from every measure")
    return found


def _constant(text: str) -> NoReturn:
    raise _Bad(f"{text} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Bad("a key that comes twice")
    return found


def _depth(value: Any) -> int:
    inside: Iterable[Any] = ()
    if isinstance(value, dict):
        inside = value.values()
    elif isinstance(value, list):
        inside = value
    else:
        return 0
    return 1 + max(map(_depth, inside), default=0)


def read_json(raw: bytes, *, measured: bool = False) -> Any:
    """JSON with whole and decimal numbers, both exact.

    Args:
        measured: its figures are measures, and may have exponents.

    Raises:
        Problem: 400 if it is no JSON, 422 if it is JSON nobody should send.
    """
    try:
        found = json.loads(
            raw.decode(),
            parse_int=_integer,
            parse_float=_measured if measured else _decimal,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
        if _depth(found) > DEEPEST:
            raise _Bad("containers inside containers")
    except _Bad as error:
        raise Problem(422, "request.number", f"the body holds {error}", fix="send plain numbers") from None
    except RecursionError:
        raise Problem(422, "request.depth", "the body holds containers inside containers") from None
    except ValueError:
        raise Problem(400, "request.json", "the body is not JSON", fix="send a JSON object") from None
    return found


def read_body(raw: bytes, kind: type[S], *, measured: bool = False) -> S:
    """A body of this kind; an empty one has no fields.

    Args:
        measured: as of `read_json`.

    Raises:
        Problem: as `read_json`, or 422 where it does not fit.
    """
    found = read_json(raw, measured=measured) if raw.strip() else {}
    if not isinstance(found, dict):
        raise Problem(422, "request.object", "the body is no object", fix="send a JSON object")
    return _convert(found, kind, strict=True)


def read_query(query: MultiMapping[str], kind: type[S]) -> S:
    """A query of this kind.

    Raises:
        Problem: 422 where it does not fit.
    """
    found: dict[str, Any] = {}
    whole = {field.encode_name for field in msgspec.structs.fields(kind) if _is_whole(field.type)}
    for name, value in query.items():
        if name in found:
            raise Problem(422, "request.twice", "a name comes twice in the query", value=name)
        if name in whole:
            if not _INTEGER.fullmatch(value):
                raise Problem(422, "request.invalid", f"`{name}` is no whole number", value=value)
            found[name] = int(value)
            if abs(found[name]) >= LARGEST:
                raise Problem(422, "request.invalid", f"`{name}` is too large", value=value)
        else:
            found[name] = value
    return _convert(found, kind, strict=True)


def _is_whole(kind: Any) -> bool:
    arguments = getattr(kind, "__args__", ())
    origin = getattr(kind, "__origin__", None)
    return kind is int or origin is int or any(_is_whole(one) for one in arguments)


def _convert(found: dict[str, Any], kind: type[S], *, strict: bool) -> S:
    try:
        made = msgspec.convert(found, kind, strict=strict)
    except (msgspec.ValidationError, ValueError) as error:
        raise Problem(
            422,
            "request.invalid",
            f"the request does not fit: {str(error)[:300]}",
            fix="see /api/openapi.json for what may be sent",
        ) from None
    for name in kind.__struct_fields__:
        value = getattr(made, name)
        if isinstance(value, Decimal):
            _refuse_odd(name, value)
    return made


def _refuse_odd(name: str, value: Decimal) -> None:
    exponent = value.as_tuple().exponent
    plain = isinstance(exponent, int) and -18 <= exponent <= 0 and value.adjusted() < 18
    if not plain or value <= 0:
        raise Problem(
            422,
            "request.amount",
            f"`{name}` must be a plain decimal above 0",
            value=str(value),
            fix="write it as digits, such as 61250.5",
        )
