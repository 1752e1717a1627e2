"""The wake contract: a decision on a tick is non-empty exactly when the tick is inside the actor's wake.

Random cores are driven with random inputs; after every input each actor is asked about prices and times
around everything it could care about.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import COIN, PERP, QUICK, SECOND, World, bounded, centered, start_grid

from domain import portfolio, symbol
from domain.inputs import (
    DeployGrid,
    FundingReport,
    HaltTrading,
    RebalanceGrid,
    ResetHalt,
    StopGrid,
    TickReport,
)
from domain.wake import ALWAYS, ASLEEP, Wake, inside, joined

OTHER = attrs.evolve(PERP, symbol="OTHERUSD", base="OTHER")


@st.composite
def started_worlds(draw: Any) -> World:
    """A core with one or two grids that have not seen a price yet."""
    one = draw(st.sampled_from([COIN, PERP]))
    world = World(
        one,
        OTHER,
        balances={"USD": draw(st.sampled_from([500, 5_000, 100_000])), "COIN": draw(st.sampled_from([0, 5]))},
        session_drawdown_ppm=draw(st.sampled_from([0, 1_000, 20_000])),
        daily_drawdown_ppm=draw(st.sampled_from([0, 500, 30_000])),
        inventory_max=draw(st.sampled_from([0, 300])),
        orders_per_minute=draw(st.sampled_from([0, 2, 5])),
    )
    for number, name in enumerate([one.symbol, OTHER.symbol][: draw(st.integers(1, 2))]):
        linear = world.instruments[name].kind == "linear"
        neutral = linear and draw(st.booleans())
        world.start(
            centered(100, 30_000, 3, lots=2)
            if neutral
            else bounded(85, 115, draw(st.integers(2, 6)), lots=2),
            symbol=name,
            symbol_index=number,
            mode="neutral" if neutral else "long",
            initial_inventory=draw(st.sampled_from(["none", "buy", "existing"])),
            existing_units=0 if linear else 4,
            stop_loss_ticks=draw(st.sampled_from([0, 80])),
            take_profit_ticks=draw(st.sampled_from([0, 125])),
            on_stop=draw(st.sampled_from(["keep", "cancel", "flatten"])),
            post_only=draw(st.sampled_from([True, True, True, False])),
        )
    return world


STEPS = (
    "tick",
    "tick",
    "tick",
    "fill",
    "fill",
    "part",
    "reject",
    "cancel",
    "mark",
    "funding",
    "halt",
    "reset",
    "stop",
    "deploy",
    "rebalance",
)

steps = st.lists(
    st.tuples(
        st.sampled_from(STEPS),
        st.integers(0, 10**6),
        st.integers(70, 130),
        st.sampled_from([0, SECOND, 61 * SECOND]),
    ),
    max_size=12,
)


def open_orders(world: World) -> list[str]:
    live = ("pending", "open", "partially_filled")
    return sorted(i for i, one in world.account.orders.items() if one.status.value in live)


def act(world: World, kind: str, pick: int, price: int, wait: int) -> None:
    """One random input, aimed at something that exists."""
    name = sorted(world.instruments)[pick % len(world.instruments)]
    live = open_orders(world)
    world.now_ns += wait
    if kind == "tick":
        world.tick(price, symbol=name)
    elif kind == "mark":
        world.mark(**{name: price})
    elif kind == "funding":
        fund = FundingReport(
            funding_id=str(world.core.position),
            symbol=OTHER.symbol,
            rate_ppm=1,
            price_ticks=1,
            units=pick % 99 - 60,
        )
        world.learn(fund)
    elif kind == "halt":
        world.learn(HaltTrading(reason="MANUAL"))
    elif kind == "reset":
        world.learn(ResetHalt(operator="me"))
    elif kind == "stop":
        world.learn(StopGrid(symbol=name, on_stop=("keep", "cancel", "flatten")[pick % 3], reason="test"))
    elif kind == "deploy":
        spec = bounded(80, 120, 2 + pick % 4, lots=2)
        mode = world.grid(name).mode
        start = start_grid(name, spec, mode=mode, stop_loss_ticks=(0, 75)[pick % 2])
        world.learn(DeployGrid(start=start, changes=(), operator="me", replaces=pick % 3 > 0))
    elif kind == "rebalance":
        world.learn(RebalanceGrid(symbol=name, operator="me"))
    elif live:
        order_id = live[pick % len(live)]
        order = world.account.orders[order_id]
        if kind == "reject" and order.status.value == "pending":
            world.reject(order_id)
        elif kind == "cancel":
            world.cancelled(order_id)
        else:
            left = order.lots - order.filled_lots
            price = price if world.orders[order_id].order_type == "market" else order.price_ticks
            world.fill(order_id, lots=1 if kind == "part" else left, price=price)


def interesting(wake: Wake, prices: list[int], now_ns: int) -> tuple[list[int], list[int]]:
    """Prices and times around the edges of a wake."""
    for edge in (wake.price_le, wake.price_ge):
        if edge is not None and abs(edge) < 10**9:
            prices = [*prices, edge - 1, edge, edge + 1]
    times = [now_ns, now_ns + 1]
    if wake.at_ns is not None:
        times += [wake.at_ns - 1, wake.at_ns, wake.at_ns + 1]
    return sorted({p for p in prices if p > 0}), sorted({t for t in times if t >= now_ns})


def assert_contract(rules: Any, state: Any, wake: Wake, name: str, now_ns: int) -> int:
    """Ask an actor about every interesting tick; how many it answered."""
    answered = 0
    prices, times = interesting(wake, [1, 79, 80, 85, 99, 100, 101, 125, 10**6], now_ns)
    for at_ns in times:
        for price in prices:
            decision = rules.decide(state, at_ns, TickReport(symbol=name, price_ticks=price))
            assert isinstance(decision, tuple)
            assert bool(decision) is inside(wake, at_ns, price), (
                rules.__name__,
                wake,
                at_ns,
                price,
                decision,
            )
            answered += bool(decision)
    return answered


def assert_all(world: World) -> int:
    answered = 0
    for name in world.instruments:
        own = world.grid(name)
        answered += assert_contract(symbol, own, symbol.wake(own), name, world.now_ns)
        risk = world.portfolio
        answered += assert_contract(portfolio, risk, portfolio.wake(risk, name), name, world.now_ns)
    return answered


@settings(QUICK, max_examples=150)
@given(world=started_worlds(), path=steps)
def test_an_actor_decides_on_a_tick_exactly_when_it_asked_for_it(
    world: World, path: list[tuple[str, int, int, int]]
) -> None:
    assert_all(world)
    for kind, pick, price, wait in path:
        act(world, kind, pick, price, wait)
        assert_all(world)


def test_the_random_paths_meet_wakes_of_every_kind() -> None:
    """The property above would hold of actors that always sleep; these do not."""
    seen: set[str] = set()

    @settings(QUICK, max_examples=500)
    @given(world=started_worlds(), path=steps)
    def collect(world: World, path: list[tuple[str, int, int, int]]) -> None:
        for kind, pick, price, wait in [("tick", 0, 100, 0), *path]:
            act(world, kind, pick, price, wait)
            for name in world.instruments:
                for who, wake in (
                    ("symbol", symbol.wake(world.grid(name))),
                    ("portfolio", portfolio.wake(world.portfolio, name)),
                ):
                    seen.update(
                        f"{who} {field}" for field, edge in wake._asdict().items() if edge is not None
                    )

    collect()
    assert seen == {
        "symbol price_le",
        "symbol price_ge",
        "symbol at_ns",
        "portfolio price_le",
        "portfolio price_ge",
    }


# --- wakes themselves ----------------------------------------------------------------------------------

wakes: Any = st.builds(Wake, *[st.none() | st.integers(-5, 5)] * 3)


@QUICK
@given(one=wakes, other=wakes, now_ns=st.integers(-6, 6), price=st.integers(-6, 6))
def test_a_joined_wake_is_inside_where_either_is(one: Wake, other: Wake, now_ns: int, price: int) -> None:
    assert inside(joined(one, other), now_ns, price) is (
        inside(one, now_ns, price) or inside(other, now_ns, price)
    )


def test_asleep_is_never_inside_and_always_is() -> None:
    assert not inside(ASLEEP, 1 << 62, 1)
    assert inside(ALWAYS, 0, 1)
