"""OKX's linear perpetual swaps (``BTC-USDT-SWAP``), cross margin, net positions.

Law: as `connector`.  OKX counts a swap's sizes in contracts; everything here is lots of the base asset, and
`converting.Scales` turns one into the other with the instrument's own contract, exactly.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from actors.ports import Capabilities, InstrumentRules, Listener, Permissions, PositionSnapshot
from domain.inputs import FundingReport
from domain.order_events import OrderTerms
from grinder.connectors.funding_watch import FundingWatch
from grinder.connectors.http import read
from grinder.connectors.okx import connector, parsing
from grinder.connectors.okx.connector import OkxConnector
from grinder.connectors.okx.listening import PRIVATE

PRODUCTION = connector.PRODUCTION
TESTNET = connector.TESTNET

BILLS_KEPT_NS = 6 * 86_400 * 10**9
"""Bills younger than this are in ``bills`` (it keeps seven days), older ones in the archive alone."""


class OkxSwapConnector(OkxConnector):
    """One OKX account's linear swaps."""

    name: ClassVar[str] = "okx-swap"
    capabilities: ClassVar[Capabilities] = attrs.evolve(
        OkxConnector.capabilities, positions=True, fundings=True
    )
    inst_type: ClassVar[str] = parsing.SWAP_TYPE
    of_order: ClassVar[Mapping[str, str]] = {"tdMode": "cross", "posSide": "net"}
    of_market_order: ClassVar[Mapping[str, str]] = {}

    async def permissions(self) -> Permissions:
        """What the key may do, on an account that is set up for net positions in contracts."""
        answer = await self._request("GET", "account/config")
        return read(lambda: parsing.permissions(parsing.one_row(answer), contracts=True))

    def rules_of(
        self, row: dict[str, Any], symbol: str, fees: tuple[Decimal, Decimal] | None
    ) -> InstrumentRules | None:
        """What a row says; None for a swap that is settled in its base asset."""
        return parsing.swap_rules(row, symbol, fees)

    async def fees(self, native: str, quote: str, group: str) -> tuple[Decimal, Decimal]:
        """This account's maker and taker fee on contracts settled in a currency, bps."""
        query = {"instType": self.inst_type, "instFamily": native.removesuffix(parsing.SWAP_ENDING)}
        answer = await self._request("GET", "account/trade-fee", query)
        return read(parsing.fee_bps, read(parsing.one_row, answer), group, quote)

    def order_row(self, terms: OrderTerms) -> dict[str, Any]:
        """An order as OKX wants it."""
        row = super().order_row(terms)
        return row | {"reduceOnly": True} if terms.reduce_only else row

    async def positions(self) -> list[PositionSnapshot]:
        """Positions on the listed swaps that are not flat."""
        answer = await self._request("GET", "account/positions", {"instType": self.inst_type})
        return read(parsing.positions, self._scales, self._symbols(), read(parsing.rows_of, answer))

    async def fundings(self, since_ns: int) -> list[FundingReport]:
        """Funding exchanged on the listed swaps, oldest first; the stream gives it no id but the bill's."""
        query = {
            "instType": self.inst_type,
            "type": parsing.FUNDING_BILL,
            "begin": str(max(0, since_ns) // parsing.NS_PER_MS),
        }
        recent = since_ns >= self._clock() - BILLS_KEPT_NS
        rows = await self._pages("account/bills" if recent else "account/bills-archive", query, "billId")
        return read(parsing.fundings, self._scales, self._symbols(), rows)

    # --- streams ---------------------------------------------------------------------------------------

    async def listen(self, listener: Listener) -> None:
        """Keep the streams up; the stream says that funding was exchanged, the bills say on what."""
        if self._credentials is not None:
            listener = FundingWatch(listener, PRIVATE, b'"funding_fee"')
        await super().listen(listener)

    def private_channels(self) -> list[dict[str, str]]:
        """Orders, and what happens to balances."""
        return [*super().private_channels(), {"channel": "balance_and_position"}]

    def side_work(self, listener: Listener) -> Sequence[Coroutine[Any, Any, None]]:
        """Look up funding."""
        if not isinstance(listener, FundingWatch):
            return ()
        return (listener.run(self.fundings, self._now_ns),)

    def _now_ns(self) -> int:
        """OKX's clock as far as we know it."""
        return self._now_ms() * parsing.NS_PER_MS
