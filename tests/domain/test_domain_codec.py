"""Bytes that outlive the program: one spelling for every record, and one hash for every state."""

from __future__ import annotations

import json
from typing import Any

import attrs
import cattrs
import msgspec
import orjson
import pytest
from goldens import FOLDER, example, path_of, topics
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map
from worlds import QUICK, World, bounded

from domain import codec
from domain.codec import UnknownTopicError, decode, encode, state_hash
from domain.inputs import STREAM, HaltTrading, TickReport, targets
from domain.notes import NOTES
from domain.record import TOPICS, Record, record, value_or


@pytest.mark.parametrize("topic", topics())
def test_a_record_is_spelled_as_it_was_first_written(topic: str) -> None:
    path = path_of(topic)
    assert path.is_file(), f"no golden bytes for {topic}; run `python tests/domain/goldens.py`, once"
    assert encode(example(TOPICS[topic])) == path.read_bytes()


@pytest.mark.parametrize("topic", topics())
def test_a_record_comes_back_from_its_bytes(topic: str) -> None:
    one = example(TOPICS[topic])
    again = decode(topic, path_of(topic).read_bytes())
    assert again == one
    assert type(again) is type(one)
    assert encode(again) == encode(one)


@pytest.mark.parametrize("topic", topics())
def test_the_bytes_are_those_of_two_independent_libraries(topic: str) -> None:
    one = example(TOPICS[topic])
    assert encode(one) == orjson.dumps(_written(cattrs.unstructure(one)), option=orjson.OPT_SORT_KEYS)


def _written(found: Any) -> Any:
    """Plain data without the fields that are not set."""
    if isinstance(found, dict):
        return {name: _written(one) for name, one in found.items() if one is not msgspec.UNSET}
    return [_written(one) for one in found] if isinstance(found, (list, tuple)) else found


def test_bytes_that_were_once_written_can_always_be_read() -> None:
    for path in sorted(FOLDER.glob("*.json")):
        topic = path.stem.replace("-", "/")
        assert decode(topic, path.read_bytes()) is not None


def test_a_record_is_sorted_json_without_spaces_of_integers_and_text() -> None:
    for topic in topics():
        found = json.loads(path_of(topic).read_bytes())
        canonical = json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert canonical.encode() == path_of(topic).read_bytes()


@pytest.mark.parametrize("topic", topics())
def test_every_field_is_in_the_bytes(topic: str) -> None:
    """So that renaming a field is seen, and leaving one out."""
    found = json.loads(path_of(topic).read_bytes())
    fields = attrs.fields(TOPICS[topic])
    assert set(found) == {one.name for one in fields if one.default is not msgspec.UNSET}


def test_a_field_that_was_added_later_is_written_only_when_it_is_given() -> None:
    before = b'{"reason":"r"}'
    old = decode("HaltTrading/1", before)
    assert (value_or(old.operator, "nobody"), encode(old)) == ("nobody", before)
    new = HaltTrading(reason="r", operator="ann")
    assert encode(new) == b'{"operator":"ann","reason":"r"}'
    assert decode("HaltTrading/1", encode(new)) == new
    assert value_or(new.operator, "nobody") == "ann"


@QUICK
@given(price=st.integers(-(1 << 63), (1 << 63) - 1), symbol=st.text(st.characters(codec="utf-8")))
def test_any_number_of_64_bits_and_any_text_survive(price: int, symbol: str) -> None:
    one = TickReport(symbol=symbol, price_ticks=price)
    assert decode(one.TOPIC, encode(one)) == one


def test_a_record_of_a_newer_program_is_named_with_what_is_known() -> None:
    with pytest.raises(UnknownTopicError, match=r"TickReport/9.*TickReport/1"):
        decode("TickReport/9", b"{}")
    with pytest.raises(UnknownTopicError, match="no such record"):
        decode("Nonsense/1", b"{}")


def test_an_old_record_is_read_through_its_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "TickReport/0.5", {"symbol": fields["name"], "price": fields["price"]}

    def scaled(fields: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "TickReport/1", {"symbol": fields["symbol"], "price_ticks": fields["price"] * 10}

    monkeypatch.setattr(codec, "UPCASTERS", {"TickReport/0": renamed, "TickReport/0.5": scaled})
    assert decode("TickReport/0", b'{"name":"COINUSD","price":7}') == TickReport(
        symbol="COINUSD", price_ticks=70
    )


@pytest.mark.parametrize("topic", ["NoVersion", "Bad Name/1", "Name/one", "/1", "TickReport/1"])
def test_a_malformed_or_taken_topic_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        record(topic)


# --- states --------------------------------------------------------------------------------------------


class Held(msgspec.Struct, frozen=True):
    """A state as actors have them."""

    by_name: Map[str, int] = Map()
    by_number: Map[int, str] = Map()


@QUICK
@given(
    st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=20), st.randoms(use_true_random=False)
)
def test_a_states_hash_does_not_depend_on_the_order_in_which_it_was_filled(
    content: dict[str, int], chance: Any
) -> None:
    names = list(content)
    chance.shuffle(names)
    one = Held(Map(content), Map({v: k for k, v in sorted(content.items())}))
    other = Held(Map(), Map())
    for name in names:
        other = Held(other.by_name.set(name, content[name]), one.by_number)
    assert state_hash(one) == state_hash(other)


def test_a_states_hash_depends_on_everything_in_it() -> None:
    states = [
        Held(),
        Held(Map({"a": 1})),
        Held(Map({"a": 2})),
        Held(Map({"b": 1})),
        Held(Map(), Map({1: "a"})),
    ]
    assert len({state_hash(one) for one in states}) == len(states)


def test_what_is_not_plain_may_not_be_in_a_state() -> None:
    with pytest.raises(TypeError, match="may not hold"):
        state_hash(Held(Map({"a": object()})))


def test_every_actor_of_a_busy_core_can_be_hashed() -> None:
    world = World()
    world.start(bounded(90, 110, 2))
    for order in world.tick(105):
        world.fill(order.client_order_id)
    hashes = [state_hash(world.core.state_of(name)) for name in world.core.names()]
    assert len(set(hashes)) == 4


# --- inputs --------------------------------------------------------------------------------------------


def test_every_input_has_a_stream_and_someone_who_receives_it_unless_it_is_a_note() -> None:
    assert len(STREAM) >= 19
    for kind, stream in STREAM.items():
        assert stream.startswith("input/")
        assert bool(targets(example(kind))) is (kind not in NOTES)


def test_no_record_has_a_stream_by_accident() -> None:
    assert all(issubclass(kind, Record) and TOPICS[kind.TOPIC] is kind for kind in STREAM)
