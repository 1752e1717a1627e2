"""Cancel every order of ours that the exchange lists, whatever the books say.

Law: asks the exchange, not the books, and again until it lists none.  Only orders with the ledger's prefix
are cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from actors.ports import Connector, ExchangeError, OrderRef, RateLimited

LONGEST_S = 100.0
"""It is tried for this long; a supervisor waits a little longer."""

BETWEEN_S = 1.0


async def cancel_ours(
    connector: Connector,
    ledger_id: str,
    between_s: float = BETWEEN_S,
    longest_s: float = LONGEST_S,
    may_send: Callable[[], bool] = lambda: True,
    listed: Callable[[str], None] = lambda client_order_id: None,
) -> int:
    """Cancel every open order whose id begins with a ledger's; how many are left, 0 once none is listed.

    Args:
        may_send: whether this process still speaks for the run; nothing is asked while it does not.
        listed: told of each order before it is cancelled.

    Raises:
        ExchangeError: the exchange never answered.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + longest_s
    left = -1
    failure: ExchangeError | None = None
    while True:
        wait_s = between_s
        try:
            if may_send():
                left = await _cancel_listed(connector, ledger_id, may_send, listed)
            if not left:
                return 0
        except RateLimited as error:
            failure, wait_s = error, max(between_s, error.retry_after_s)
        except ExchangeError as error:
            failure = error
        if loop.time() + wait_s >= until:
            break
        await asyncio.sleep(wait_s)
    if left < 0 and failure is not None:
        raise failure
    return left


async def _cancel_listed(
    connector: Connector, ledger_id: str, may_send: Callable[[], bool], listed: Callable[[str], None]
) -> int:
    """Ask for the open orders and cancel ours; how many of ours were listed."""
    found = await connector.open_orders()
    ours = [one for one in found if one.client_order_id.startswith(ledger_id)]
    for one in ours:
        listed(one.client_order_id)
    step = max(1, connector.capabilities.cancel_batch)
    for symbol in sorted({one.symbol for one in ours}):
        refs = [
            OrderRef(
                client_order_id=one.client_order_id,
                exchange_order_id=one.exchange_order_id,
                symbol=one.symbol,
            )
            for one in ours
            if one.symbol == symbol
        ]
        for at in range(0, len(refs), step):
            if may_send():
                await connector.cancel(refs[at : at + step])
    return len(ours)
