"""Cancel everything of a run whose process is dead: started by the supervisor, and by nobody else.

Law: needs nothing but the run's folder and the key; reads the ledger's instruments, writes nothing to it.
Only orders with the ledger's prefix are cancelled.  What it does the next start finds out by reconciling.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from actors.ports import Connector, ExchangeError, OrderRef
from grinder.errors import ExitStatus, UserError
from grinder.ledger.lock import WriterLock
from grinder.live.accounts import ExchangeAccount
from grinder.live.clock import RealClock
from grinder.live.process import credentials_for
from grinder.live.rebuild import rebuild
from grinder.live.spec import PAPER, read_spec
from grinder.log import configure, logger
from grinder.run_folder import RunFolder

TRIES = 10

BETWEEN_S = 1.0


async def cancel_ours(connector: Connector, ledger_id: str, between_s: float = BETWEEN_S) -> int:
    """Cancel every open order whose id begins with a ledger's; how many are left.

    Raises:
        ExchangeError: the exchange never answered.
    """
    left = -1
    failure: ExchangeError | None = None
    for _ in range(TRIES):
        try:
            found = await connector.open_orders()
            ours = [one for one in found if one.client_order_id.startswith(ledger_id)]
            left, failure = len(ours), None
            if not ours:
                return 0
            step = max(1, connector.capabilities.cancel_batch)
            for at in range(0, len(ours), step):
                refs = [
                    OrderRef(
                        client_order_id=one.client_order_id,
                        exchange_order_id=one.exchange_order_id,
                        symbol=one.symbol,
                    )
                    for one in ours[at : at + step]
                ]
                await connector.cancel(refs)
        except ExchangeError as error:
            failure = error
        await asyncio.sleep(between_s)
    if left < 0 and failure is not None:
        raise failure
    return left


async def _main(folder: RunFolder) -> ExitStatus:
    spec = read_spec(folder)
    if spec.mode == PAPER:
        return ExitStatus.DONE  # a simulated exchange dies with its process, and its orders with it
    clock = RealClock()
    account = ExchangeAccount(spec, credentials_for(spec.config, spec.mode), clock)
    await account.open()
    try:
        connector = account.connect(rebuild(folder.ledger).core.state_of("account"))
        left = await cancel_ours(connector, spec.ledger_id)
    except ExchangeError as error:
        logger().critical("orders could not be cancelled", reason=str(error))
        return ExitStatus.ORDERS_LEFT
    finally:
        await account.close()
    logger().warning("orders were cancelled in an emergency", left=left)
    return ExitStatus.ORDERS_LEFT if left else ExitStatus.DONE


def main(arguments: list[str]) -> int:
    """``python -m grinder.live.emergency FOLDER``; returns the exit status."""
    configure(False, as_json=False)
    folder = RunFolder(Path(arguments[0]))
    try:
        with WriterLock(folder.path):
            return int(asyncio.run(_main(folder)))
    except UserError as error:
        sys.stderr.write(f"error: {error.render()}\n")
        return int(error.status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
