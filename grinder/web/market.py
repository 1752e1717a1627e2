"""The market overview: prices, markets and trending coins, for people to look at.

Law: display only; nothing here reaches a run.  Answers are a minute old at most while the source answers, and
when it does not the last ones are shown, marked as stale.  Numbers stay the text they came as.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import aiohttp

NS: Final = 10**9
KEPT_NS: Final = 60 * NS
TIMEOUT_S: Final = 5.0
LARGEST_BODY: Final = 2 * 1024 * 1024
COINGECKO: Final = "https://api.coingecko.com/api/v3"
MOST_COINS: Final = 25

COIN: Final = re.compile(r"[a-z0-9-]{1,50}")


class MarketUnavailable(Exception):
    """The source gave no answer that can be shown."""


class MarketSource(Protocol):
    """Where the overview comes from."""

    async def ask(self, path: str, query: Mapping[str, str]) -> Any:
        """One question; the JSON of the answer, with numbers as text.

        Raises:
            MarketUnavailable: there is no answer.
        """

    async def close(self) -> None:
        """Let go of connections."""


class NoMarket:
    """No source: nothing leaves the machine."""

    async def ask(self, path: str, query: Mapping[str, str]) -> Any:
        """Always refuses."""
        raise MarketUnavailable("the market overview is off; start with --market")

    async def close(self) -> None:
        """Nothing to do."""


class CoinGecko:
    """CoinGecko's public API.

    Args:
        address: of the API.
    """

    def __init__(self, address: str = COINGECKO) -> None:
        self._address = address.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, path: str, query: Mapping[str, str]) -> Any:
        """One question.

        Raises:
            MarketUnavailable: no answer, or none that can be read.
        """
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        try:
            async with self._session.get(f"{self._address}{path}", params=dict(query)) as answer:
                raw = await answer.content.read(LARGEST_BODY + 1)
                while len(raw) <= LARGEST_BODY and (more := await answer.content.read(LARGEST_BODY)):
                    raw += more
                if answer.status != 200:
                    raise MarketUnavailable(f"the source answers {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise MarketUnavailable(f"the source does not answer: {type(error).__name__}") from error
        if len(raw) > LARGEST_BODY:
            raise MarketUnavailable("the answer is too large")
        try:
            return json.loads(raw, parse_float=str, parse_int=str, parse_constant=lambda text: None)
        except (ValueError, RecursionError) as error:
            raise MarketUnavailable("the answer is not JSON") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()


_MARKET_FIELDS: Final = (
    "id", "symbol", "name", "current_price", "market_cap", "market_cap_rank", "total_volume", "high_24h",
    "low_24h", "price_change_percentage_24h", "last_updated",
)  # fmt: skip
_COIN_FIELDS: Final = ("id", "symbol", "name", "market_cap_rank")


class MarketOverview:
    """The overview, kept for a minute."""

    def __init__(self, source: MarketSource, clock: Callable[[], int]) -> None:
        self._source = source
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[int, Any]] = {}
        self._asking = asyncio.Lock()

    async def overview(self, coins: tuple[str, ...], currency: str) -> dict[str, Any]:
        """Prices and markets of coins, and what is trending; parts that failed are None."""
        ids = ",".join(coins)
        prices = await self._part("/simple/price", {"ids": ids, "vs_currencies": currency})
        markets = await self._part("/coins/markets", {"ids": ids, "vs_currency": currency})
        trending = await self._part("/search/trending", {})
        return {
            "currency": currency,
            "prices": _mapping(prices["value"]),
            "markets": _rows(prices_of=markets["value"], fields=_MARKET_FIELDS),
            "trending": _trending(trending["value"]),
            "stale": any(one["stale"] for one in (prices, markets, trending)),
            "fault": next((one["fault"] for one in (prices, markets, trending) if one["fault"]), ""),
            "asked_ns": min(one["asked_ns"] for one in (prices, markets, trending)),
        }

    async def _part(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        key = (path, *query.values())
        async with self._asking:
            asked_ns, value = self._kept.get(key, (0, None))
            fault = ""
            if not asked_ns or self._clock() - asked_ns > KEPT_NS:
                try:
                    asked_ns, value = self._clock(), await self._source.ask(path, query)
                    self._kept[key] = asked_ns, value
                    self._kept = dict(list(self._kept.items())[-64:])
                except MarketUnavailable as error:
                    fault = str(error)
                    asked_ns = self._kept.get(key, (0, None))[0]
        return {"value": value, "asked_ns": asked_ns, "stale": bool(fault), "fault": fault}

    async def close(self) -> None:
        """Let go of the source."""
        await self._source.close()


def _mapping(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    return {
        str(coin): {str(name): str(one) for name, one in prices.items()}
        for coin, prices in value.items()
        if isinstance(prices, dict)
    }


def _rows(*, prices_of: Any, fields: tuple[str, ...]) -> list[dict[str, Any]] | None:
    if not isinstance(prices_of, list):
        return None
    return [
        {name: None if row.get(name) is None else str(row[name]) for name in fields}
        for row in prices_of[:MOST_COINS]
        if isinstance(row, dict)
    ]


def _trending(value: Any) -> list[dict[str, Any]] | None:
    coins = value.get("coins") if isinstance(value, dict) else None
    if not isinstance(coins, list):
        return None
    return _rows(prices_of=[one.get("item") for one in coins if isinstance(one, dict)], fields=_COIN_FIELDS)
