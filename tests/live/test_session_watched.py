"""What health and metrics ask of a session: when it last compared, whether requests are answered."""

from __future__ import annotations

import asyncio

from session_rig import SECOND, Rig, play

from actors.ports import Unavailable


def test_the_last_comparison_and_its_certain_difference_are_known_also_when_nothing_is_told() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        reconciling = rig.session.reconciling
        assert (reconciling.compared_ns > 0, reconciling.drift_ppm) == (True, 0)
        told = len(rig.records("ReconciliationReport"))
        await asyncio.sleep(600)
        assert len(rig.records("ReconciliationReport")) == told, "the same result is not told again"
        assert rig.clock() - reconciling.compared_ns <= 61 * SECOND
        rig.exchange.dollars -= 20_000
        await asyncio.sleep(200)
        assert reconciling.drift_ppm == 200_000, "a fifth of what the books hold is missing"

    play(story)


def test_the_circuit_is_open_after_failures_and_closed_when_the_exchange_answers_again() -> None:
    async def story(rig: Rig) -> None:
        await rig.start(levels=1)
        session = rig.session
        assert session.circuit.state == "closed"
        answered = session.wire.answered_ns
        errors: list[str] = []
        session.wire.on_error = lambda what, error: errors.append(f"{what} {type(error).__name__}")
        for what in ("time", "open_orders", "fills", "balances", "order"):
            rig.exchange.reads[what] = [Unavailable("503")] * 4
        states: list[str] = []
        for _ in range(700):
            await asyncio.sleep(1)
            states.append(session.circuit.state)
            if len(states) % 10 == 0:
                await session.ping()
        assert "fills Unavailable" in errors
        assert "open" in states
        assert states[-1] == "closed"
        assert session.wire.answered_ns > answered
        assert rig.clock() - session.wire.answered_ns < 25 * SECOND

    play(story)
