"""The end of a run, in six steps, each of which is taken whatever became of the one before.

Law: no new work; all orders cancelled and shown to be gone; what is under way waited for; the state
checkpointed; connections closed; records of all this flushed.  A second signal goes to the fourth step at
once.  Orders that are left are told: alert, log, exit status.  A run that broke takes only the last two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pykka

from actors.ports import ExchangeError
from actors.sequencer import CoreFailure
from domain.account_state import AccountState
from domain.grid_state import GridStatus
from domain.inputs import PauseTrading, StopGrid, TakeCheckpoint
from domain.notes import RunReport
from domain.orders import ENDED
from domain.record import Record
from grinder import __version__
from grinder.errors import ExitStatus
from grinder.ledger.recorder import FencedError, checkpoint
from grinder.ledger.writer import JournalFailed, advice
from grinder.live.failing_over import PAUSE
from grinder.live.life import STOPPED, STOPPING, Life
from grinder.live.watching import Watching
from grinder.log import logger
from grinder.observation.alerts import Alert
from grinder.standby.lease import GAVE_UP, HANDED_OVER, LeaseLost
from grinder.standby.lease import STOPPED as RUN_STOPPED

FLATTEN_S = 30.0

CLOSE_S = 10.0

FAILURES = (ExchangeError, OSError, TimeoutError, CoreFailure, JournalFailed, RuntimeError, ValueError)
"""What a step may fail with and the next is still taken."""


async def stop(run: Life, watching: Watching) -> ExitStatus:
    """End a run; what its process ends with.

    Raises:
        BaseException: what broke the run, after everything was released.
    """
    asked = run.ending.is_set()  # or the start failed, and another process tries again
    run.phase = STOPPING
    run.ending.set()
    has_ledger = run.writer is not None
    left = 0
    if run.tenure is not None and asked and run.broken is None and not run.stop_request.heir:
        run.tenure.stops()
    if run.broken is None and has_ledger:
        await _step("no new work", _no_new_work(run))
        left = await _orders(run, watching)
        await _step("checkpoint", _checkpoint(run))
        await _step("dead-man switch", _take_switch_off(run), CLOSE_S * run.pace)
    if run.tenure is not None and run.broken is None:
        run.tenure.beat_by_thread()
    await _closed(run, watching, left if run.broken is None and has_ledger else None)
    if run.tenure is not None:
        run.tenure.beat_by_hand()
    run.phase = STOPPED
    if run.broken is not None:
        if run.tenure is not None and fenced(run.broken):
            return ExitStatus.STOOD_DOWN
        if isinstance(run.broken, CoreFailure):
            raise run.broken
        if not run.journal_failed():
            raise run.broken
        logger().critical("the ledger could not be written", reason=str(run.broken), fix=advice(run.broken))
        if run.tenure is not None:
            run.tenure.end(GAVE_UP)  # what a disk holds after a failed sync nobody may build on
        return ExitStatus.NOT_STORED
    logger().info("SHUTDOWN_COMPLETE", orders_left=left)
    if run.tenure is not None and asked:
        heir = run.stop_request.heir
        run.tenure.end(HANDED_OVER if heir else RUN_STOPPED, heir)
        if heir:
            return ExitStatus.STOOD_DOWN
    return ExitStatus.ORDERS_LEFT if left else ExitStatus.DONE


async def _closed(run: Life, watching: Watching, left: int | None) -> None:
    """Steps five and six.

    Args:
        left: how many orders may still work; None when that cannot be recorded.
    """
    await _step("close", _close(run), CLOSE_S * run.pace)
    if left is not None:
        detail = f"{left} orders left" if left else ""
        report = RunReport(phase="stopped", mode=run.spec.mode, program=__version__, detail=detail)
        await _step("tape", watching.close_tape(run.core.position), CLOSE_S * run.pace)
        await _step("last record", _learned(run, report))
    await _step("tape", watching.close_tape(run.core.position), CLOSE_S * run.pace)
    await _step("flush", watching.close(), CLOSE_S * run.pace)
    _release(run)


def fenced(failure: BaseException) -> bool:
    """Whether a run ended because another process has taken it over."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, (LeaseLost, FencedError)):
            return True
        cause = cause.__cause__
    return False


async def _step(name: str, work: Awaitable[object], longest_s: float | None = None) -> None:
    try:
        await asyncio.wait_for(work, longest_s)
    except FAILURES as error:
        logger().error("a step of the stop failed", step=name, error=str(error) or type(error).__name__)


async def _learned(run: Life, report: Record) -> None:
    await run.loop_core.durable(run.learn(report))


async def _no_new_work(run: Life) -> None:
    run.gate.close()
    await _learned(run, RunReport(phase="stopping", mode=run.spec.mode, program=__version__, detail=""))
    if not run.books().opened:
        return
    if run.stop_request.orders != "flatten":
        # Who takes over ends his pause by himself; of a run that ends, the next start does.
        reason = PAUSE if run.stop_request.heir else "stopped"
        await _learned(run, PauseTrading(reason=reason, symbol="", operator="stop"))


async def _orders(run: Life, watching: Watching) -> int:
    """Steps two and three; how many orders are left, unasked for."""
    if run.session is None:
        return 0
    keep = run.stop_request.orders == "keep-orders"
    hurry = asyncio.create_task(run.stop_request.hurried.wait())
    work = asyncio.create_task(_put_in_order(run, keep))
    await asyncio.wait((hurry, work), return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not work.done():
        work.cancel()
    try:
        await work
    except asyncio.CancelledError:
        logger().warning("the stop does not wait for orders any more")
    except FAILURES as error:
        logger().error("orders could not be put in order", error=str(error) or type(error).__name__)
    left = 0 if keep else len(_working(run.books()))
    if left:
        text = f"the run ends and {left} orders may still work on the exchange"
        watching.notify(Alert(level="CRITICAL", kind="orders_left", text=text))
    return left


async def _put_in_order(run: Life, keep: bool) -> None:
    session = run.session
    assert session is not None
    if run.stop_request.orders == "flatten":
        await _step("flatten", _flatten(run))
    if not keep:
        await _step("cancel", session.cancel_working())
    await session.drain(run.spec.config.live.drain_seconds * run.pace)


async def _flatten(run: Life) -> None:
    for symbol in run.symbols:
        run.learn(StopGrid(symbol=symbol, on_stop="flatten", reason="stopped by the operator"))
    loop = asyncio.get_running_loop()
    until = loop.time() + FLATTEN_S * run.pace
    while loop.time() < until:
        states = [run.core.state_of(f"symbol/{symbol}").status for symbol in run.symbols]
        if all(status in (GridStatus.STOPPED, GridStatus.NEW) for status in states):
            return
        await asyncio.sleep(0.1)


def _working(books: AccountState) -> list[str]:
    return [order_id for order_id, order in books.orders.items() if order.status not in ENDED]


async def _checkpoint(run: Life) -> None:
    await _learned(run, TakeCheckpoint(reason="end of run"))


async def _take_switch_off(run: Life) -> None:
    """Kept orders are nobody's any more, so the switch is the very last thing that is asked for."""
    if run.session is not None:
        await run.session.release(keep_orders=run.stop_request.orders == "keep-orders")


async def _close(run: Life) -> None:
    if run.session is not None:
        run.session.stop()
    for task in run.tasks.values():
        task.cancel()
    await asyncio.gather(*run.tasks.values(), return_exceptions=True)
    if run.session is not None:
        await run.session.close()
    if run.connector is not None:
        await run.connector.close()
    await run.account.close()
    if run.control is not None:
        await run.control.close()


def _release(run: Life) -> None:
    """End the journal's thread and leave a ledger that is one file; name what is left behind."""
    if run.writer is not None:
        run.writer.stop(block=True, timeout=CLOSE_S)
        run.application.close()
        run.disk.make_room()
        if run.broken is None:
            checkpoint(run.folder.ledger)
    left = pykka.ActorRegistry.get_all()
    if left:
        logger().error("actors are left behind", actors=[str(one) for one in left])
        pykka.ActorRegistry.stop_all(block=False)
