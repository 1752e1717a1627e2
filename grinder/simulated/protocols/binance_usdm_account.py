"""The simulated USD-margined account: what may be traded, what is held, what was paid for holding it.

Law: worded from the desk; it changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar

from aiohttp import web

from domain.instrument import Instrument, value
from domain.units import decimals_of, fixed_text, from_units
from grinder.secrets import Credentials
from grinder.simulated.fundings import Funded, Fundings
from grinder.simulated.protocols.binance_gate import SIGNED, Handle, Params
from grinder.simulated.protocols.binance_trading import TradingServer, limit
from grinder.simulated.protocols.binance_words import NS_PER_MS
from replay.exchange.desk import Desk
from replay.exchange.desk_view import DeskView
from replay.faults import FaultPlan

API = "/fapi/v1"
FUNDING_FEE = "FUNDING_FEE"


class UsdmAccountServer(TradingServer):
    """The reading half of Binance USDM."""

    futures: ClassVar[bool] = True

    def __init__(
        self, desk: Desk, credentials: Credentials, faults: FaultPlan, clock: Callable[[], int]
    ) -> None:
        super().__init__(desk, credentials, faults, clock)
        self.fundings = Fundings(desk, self._funded)

    def account_routes(self) -> list[web.RouteDef]:
        """Requests about the account and what it may trade."""

        def signed(path: str, handle: Handle, operation: str = "balances", weight: int = 5) -> web.RouteDef:
            return self.route("GET", path, handle, operation=operation, weight=weight, security=SIGNED)

        return [
            self.route("GET", f"{API}/exchangeInfo", self._exchange_info),
            self.route("GET", f"{API}/premiumIndex", self._premium),
            *(signed(f"/fapi/{version}/balance", self._balance) for version in ("v2", "v3")),
            *(signed(f"/fapi/{version}/account", self._account) for version in ("v2", "v3")),
            *(signed(f"/fapi/{one}/positionRisk", self._positions, "positions") for one in ("v2", "v3")),
            signed(f"{API}/commissionRate", self._commission),
            signed(f"{API}/positionSide/dual", lambda params, view: {"dualSidePosition": False}),
            signed(f"{API}/leverageBracket", self._brackets),
            signed(f"{API}/income", self._income, "fills", weight=30),
            self.route("POST", f"{API}/leverage", self._leverage, security=SIGNED),
            signed("/sapi/v1/account/apiRestrictions", self._restrictions),
            *self.house_routes("/api/v3", "/dapi/v1"),
        ]

    # --- what may be traded ---------------------------------------------------------------------------

    def _exchange_info(self, params: Params, view: DeskView) -> dict[str, Any]:
        weights = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        orders = {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300}
        names = sorted({one.quote for one in self.desk.instruments.values()})
        assets = [{"asset": one, "marginAvailable": True, "autoAssetExchange": "-100"} for one in names]
        return {
            "timezone": "UTC",
            "serverTime": self.now_ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": [{**weights, "limit": self.weight_limit}, orders],
            "exchangeFilters": [],
            "assets": [
                {"asset": one, "marginAvailable": True, "autoAssetExchange": "-100"} for one in assets
            ],
            "symbols": [self._symbol(one) for one in self.desk.instruments.values()],
        }

    def _symbol(self, one: Instrument) -> dict[str, Any]:
        filters = self.desk.filters[one.symbol]
        return {
            "symbol": one.symbol,
            "pair": one.symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000,
            "onboardDate": 1_569_398_400_000,
            "status": "TRADING" if filters.trading else "SETTLING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": one.base,
            "quoteAsset": one.quote,
            "marginAsset": one.quote,
            "pricePrecision": decimals_of(Decimal(filters.tick)),
            "quantityPrecision": decimals_of(Decimal(filters.lot)),
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": [],
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "filters": self.words.filters(one.symbol, filters),
            "orderTypes": ["LIMIT", "MARKET"],
            "timeInForce": ["GTC", "IOC", "GTX"],
        }

    def _premium(self, params: Params, view: DeskView) -> Any:
        def one(symbol: str) -> dict[str, Any]:
            price = self.public.last_price(symbol)
            return {
                "symbol": symbol,
                "markPrice": price,
                "indexPrice": price,
                "lastFundingRate": "0.00010000",
                "nextFundingTime": 0,
                "time": self.now_ms(),
            }

        return one(self.symbol(params)) if params.get("symbol") else [one(s) for s in self.desk.instruments]

    # --- the account -----------------------------------------------------------------------------------

    def _wallet(self) -> list[dict[str, str]]:
        rows = []
        for asset, (free, locked) in self.desk.totals().items():
            decimals = self.desk.decimals(asset)
            total, available = fixed_text(free + locked, decimals), fixed_text(free, decimals)
            rows.append({"asset": asset, "total": total, "available": available})
        return rows

    def _balance(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        return [
            {
                "accountAlias": "simulated",
                "asset": row["asset"],
                "balance": row["total"],
                "crossWalletBalance": row["total"],
                "crossUnPnl": "0.00000000",
                "availableBalance": row["available"],
                "maxWithdrawAmount": row["available"],
                "marginAvailable": True,
                "updateTime": self.now_ms(),
            }
            for row in self._wallet()
        ]

    def _account(self, params: Params, view: DeskView) -> dict[str, Any]:
        rows = self._wallet()
        quotes = {one.quote for one in self.desk.instruments.values()}
        total = next((row for row in rows if row["asset"] in quotes), {"total": "0", "available": "0"})
        none = dict.fromkeys(("unrealizedProfit", "maintMargin", "initialMargin"), "0.00000000")
        more = dict.fromkeys(("positionInitialMargin", "openOrderInitialMargin", "crossUnPnl"), "0.00000000")
        return {
            "feeTier": 0,
            "canTrade": True,
            "canDeposit": True,
            "canWithdraw": True,
            "updateTime": 0,
            "totalWalletBalance": total["total"],
            "totalMarginBalance": total["total"],
            "totalInitialMargin": "0.00000000",
            "totalMaintMargin": "0.00000000",
            "totalUnrealizedProfit": "0.00000000",
            "availableBalance": total["available"],
            "assets": [
                {
                    "asset": row["asset"],
                    "walletBalance": row["total"],
                    "marginBalance": row["total"],
                    "crossWalletBalance": row["total"],
                    "availableBalance": row["available"],
                    "maxWithdrawAmount": row["available"],
                    **none,
                    **more,
                    "updateTime": self.now_ms(),
                }
                for row in rows
            ],
            "positions": self._positions({}, view),
        }

    def _positions(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        held = view.positions()
        rows = []
        for symbol, one in self.desk.instruments.items():
            units, cost = held.get(symbol, (0, 0))
            if not units or params.get("symbol", symbol) != symbol:
                continue
            mark = self.public.shown(symbol).bid
            worth = value(one, mark, units)
            entry = abs(cost) // (abs(units) * one.quote_per_tick_base)
            rows.append(
                {
                    "symbol": symbol,
                    "positionSide": "BOTH",
                    "positionAmt": fixed_text(units, one.base_decimals),
                    "entryPrice": self.words.price(symbol, entry),
                    "breakEvenPrice": self.words.price(symbol, entry),
                    "markPrice": self.words.price(symbol, mark),
                    "unRealizedProfit": self.words.money(symbol, worth - cost),
                    "liquidationPrice": "0",
                    "leverage": str(one.leverage_ppm // 1_000_000),
                    "marginType": "cross",
                    "isolatedMargin": "0",
                    "isolatedWallet": "0",
                    "notional": self.words.money(symbol, worth),
                    "marginAsset": one.quote,
                    "initialMargin": "0",
                    "maintMargin": "0",
                    "positionInitialMargin": "0",
                    "openOrderInitialMargin": "0",
                    "adl": 0,
                    "bidNotional": "0",
                    "askNotional": "0",
                    "updateTime": self.now_ms(),
                }
            )
        return rows

    def _commission(self, params: Params, view: DeskView) -> dict[str, Any]:
        one = self.desk.instruments[self.symbol(params)]
        return {
            "symbol": one.symbol,
            "makerCommissionRate": str(from_units(one.maker_fee_ppm, 6)),
            "takerCommissionRate": str(from_units(one.taker_fee_ppm, 6)),
        }

    def _leverage(self, params: Params, view: DeskView) -> dict[str, Any]:
        return {
            "symbol": self.symbol(params),
            "leverage": int(params["leverage"]),
            "maxNotionalValue": "1000000",
        }

    def _brackets(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        bracket = {"bracket": 1, "initialLeverage": 125, "notionalCap": 50_000_000, "notionalFloor": 0}
        rates = {"maintMarginRatio": 0.004, "cum": 0.0}
        return [{"symbol": symbol, "brackets": [{**bracket, **rates}]} for symbol in self.desk.instruments]

    def _restrictions(self, params: Params, view: DeskView) -> dict[str, Any]:
        return {"enableReading": True, "enableFutures": True, "enableWithdrawals": self.key_can_withdraw}

    def _income(self, params: Params, view: DeskView) -> list[dict[str, Any]]:
        """Funding, which is all this exchange keeps an account of; the oldest first."""
        first = int(params.get("startTime", 0)) * NS_PER_MS
        last = int(params.get("endTime", self.now_ms())) * NS_PER_MS + NS_PER_MS
        found = [
            one
            for one in self.fundings.seen(view, first)
            if one.at_ns < last
            and params.get("symbol", one.report.symbol) == one.report.symbol
            and params.get("incomeType", FUNDING_FEE) == FUNDING_FEE
        ]
        return [
            {
                "symbol": one.report.symbol,
                "incomeType": FUNDING_FEE,
                "income": self.words.money(one.report.symbol, one.report.units),
                "asset": self.desk.instruments[one.report.symbol].quote,
                "info": FUNDING_FEE,
                "time": one.at_ns // NS_PER_MS,
                "tranId": one.number,
                "tradeId": "",
            }
            for one in found[: limit(params)]
        ]

    # --- its events -----------------------------------------------------------------------------------

    def tell(self, event: dict[str, Any]) -> None:
        """Send a private event to whoever listens for them."""
        raise NotImplementedError

    def tell_account(self, reason: str = "ORDER", change: str = "0") -> None:
        now_ms = self.now_ms()
        balances = [
            {"a": row["asset"], "wb": row["total"], "cw": row["total"], "bc": change}
            for row in self._wallet()
        ]
        positions = [
            {
                "s": row["symbol"],
                "pa": row["positionAmt"],
                "ep": row["entryPrice"],
                "cr": "0",
                "up": row["unRealizedProfit"],
                "mt": "cross",
                "iw": "0",
                "ps": "BOTH",
            }
            for row in self._positions({}, DeskView(self.desk))
        ]
        # Funding of a cross position names no position: the client has to look at its history.
        told = {"m": reason, "B": balances, "P": [] if reason == FUNDING_FEE else positions}
        self.tell({"e": "ACCOUNT_UPDATE", "E": now_ms, "T": now_ms, "a": told})

    def _funded(self, one: Funded) -> None:
        change = self.words.money(one.report.symbol, one.report.units)
        asyncio.get_running_loop().call_soon(self.tell_account, FUNDING_FEE, change)
