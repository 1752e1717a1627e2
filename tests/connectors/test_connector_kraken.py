"""Kraken's wire without a socket: recorded payloads, codes, names, numbers, and what nobody can read."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from kraken_listed import OURS, PENDING, SCALES, SHARED, SYMBOLS, decoded, executions

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    OrderRefused,
    OutcomeUnknown,
    RateLimited,
    SnapshotStatus,
    Unavailable,
)
from domain.order_events import OrderTerms
from grinder.connectors.converting import Unreadable
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.kraken import errors, naming, ordering, rest_parsing
from grinder.connectors.kraken.permissions import permissions_of
from grinder.connectors.kraken.transport import KrakenTransport, Nonces
from grinder.secrets import Credentials

# --- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "common"),
    [
        ("XXBT", "BTC"),
        ("XBT", "BTC"),
        ("XXDG", "DOGE"),
        ("ZUSD", "USD"),
        ("USDT", "USDT"),
        ("XETH", "ETH"),
        ("XTZ", "XTZ"),
        ("ZRX", "ZRX"),
        ("XBT.F", "BTC.F"),
    ],
)
def test_assets_have_their_common_names(native: str, common: str) -> None:
    assert naming.asset_name(native) == common


def test_a_pair_is_known_under_each_of_krakens_names() -> None:
    for name in ("XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD", "BTCUSD"):
        assert SYMBOLS[name] == "BTCUSD"
    assert naming.order_pair("DOGE", "USD") == "XDGUSD"
    assert naming.stream_pair("BTC", "USD") == "BTC/USD"


def test_a_client_id_is_the_same_with_hyphens_and_without() -> None:
    ours = "6d1b345e2821457a9e2c0f9d8c7b6a50"
    assert naming.client_id("6D1B345E-2821-457A-9E2C-0F9D8C7B6A50") == ours
    assert naming.client_id(ours) == ours
    assert naming.client_id("my-own-name") == "my-own-name"
    assert naming.client_id(None) == ""


# --- requests ------------------------------------------------------------------------------------------


def order(**changes: Any) -> OrderTerms:
    given: dict[str, Any] = {
        "client_order_id": "0" * 31 + "1",
        "symbol": "BTCUSD",
        "side": "buy",
        "order_type": "limit",
        "time_in_force": "post_only",
        "reduce_only": False,
        "price_ticks": 600_005,
        "lots": 123_456,
    }
    return OrderTerms(**{**given, **changes})


def test_an_order_asks_for_its_fee_in_the_quote_currency_and_carries_our_id() -> None:
    assert ordering.parameters(SCALES, order()) == {
        "ordertype": "limit",
        "type": "buy",
        "volume": "0.00123456",
        "price": "60000.5",
        "cl_ord_id": "0" * 31 + "1",
        "oflags": "post,fciq",
    }
    taking = ordering.parameters(SCALES, order(time_in_force="ioc"))
    assert (taking["oflags"], taking["timeinforce"]) == ("fciq", "IOC")
    market = ordering.parameters(SCALES, order(order_type="market", time_in_force="ioc"))
    assert "price" not in market
    assert "timeinforce" not in market


def test_orders_of_one_symbol_share_a_request() -> None:
    orders = [order(), order(symbol="MATICUSD"), order(), *[order()] * 15]
    shared = ordering.batches(orders, 15)
    assert [len(one) for one in shared] == [15, 2, 1]
    assert sorted(at for one in shared for at in one) == list(range(18))


def test_nonces_rise_although_the_clock_stands_or_goes_back() -> None:
    now = [5_000]
    nonces = Nonces(lambda: now[0])
    taken = [nonces.take(), nonces.take()]
    now[0] = 4_000
    taken.append(nonces.take())
    now[0] = 9_000
    taken.append(nonces.take())
    assert taken == sorted(set(taken))
    assert taken[-1] == 9_000
    again = Nonces(lambda: 9_001)  # the next process
    assert again.take() > taken[-1]


SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="


def test_a_request_is_signed_as_in_krakens_own_example() -> None:
    endpoint, keys = Endpoint("https://api.kraken.com", ""), Credentials("KEY", SECRET)
    transport = KrakenTransport(endpoint, keys, lambda: 1_616_492_376_594)
    asked = {"ordertype": "limit", "pair": "XBTUSD", "price": "37500", "type": "buy", "volume": "1.25"}
    request = transport._signed("AddOrder", "private", asked)
    assert request["url"] == "https://api.kraken.com/0/private/AddOrder"
    assert request["body"].startswith("nonce=1616492376594&ordertype=limit&pair=XBTUSD")
    assert request["headers"]["API-Sign"] == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "when_writing", "when_reading"),
    [
        ("EOrder:Post only order", OrderRefused, Unavailable),
        ("EOrder:Insufficient funds", OrderRefused, Unavailable),
        ("EOrder:Orders limit exceeded", OrderRefused, Unavailable),
        ("EOrder:Unknown order", OrderRefused, Unavailable),
        ("EGeneral:Invalid arguments:price", OrderRefused, Unavailable),
        ("EQuery:Unknown asset pair", OrderRefused, Unavailable),
        ("EService:Market in cancel_only mode", OrderRefused, Unavailable),
        ("EOrder:Rate limit exceeded", RateLimited, RateLimited),
        ("EAPI:Rate limit exceeded", RateLimited, RateLimited),
        ("EGeneral:Temporary lockout", RateLimited, RateLimited),
        ("EAPI:Invalid nonce", ClockSkewed, ClockSkewed),
        ("EAPI:Invalid key", AuthenticationFailed, AuthenticationFailed),
        ("EAPI:Invalid signature", AuthenticationFailed, AuthenticationFailed),
        ("EGeneral:Permission denied", AuthenticationFailed, AuthenticationFailed),
        ("EService:Unavailable", OutcomeUnknown, Unavailable),
        ("EService:Busy", OutcomeUnknown, Unavailable),
        ("EService:Timeout", OutcomeUnknown, Unavailable),
        ("EGeneral:Internal error", OutcomeUnknown, Unavailable),
        ("EDatabase:Internal error", OutcomeUnknown, Unavailable),
        ("EOrder:cl_ord_id already in use", OutcomeUnknown, Unavailable),
        ("EBrandNew:Never seen", OutcomeUnknown, Unavailable),
    ],
)
def test_a_code_means_what_may_be_concluded_from_it(
    code: str, when_writing: type[ExchangeError], when_reading: type[ExchangeError]
) -> None:
    assert type(errors.from_codes([code], writes=True)) is when_writing
    assert type(errors.from_codes([code], writes=False)) is when_reading


def test_a_refusal_for_a_step_names_the_step() -> None:
    assert "lot size" in errors.from_codes(["EGeneral:Invalid arguments:volume"], writes=True).text
    assert "tick" in errors.from_codes(["EOrder:Invalid price:XBTUSD price"], writes=True).text


def test_a_foreign_order_priced_in_percent_has_no_price() -> None:
    percent = {**PENDING, "limit_price": 5.123, "limit_price_type": "pct", "cl_ord_id": ""}
    [told] = decoded(executions(1, percent))
    assert (told.price_ticks, told.client_order_id) == (0, "")


def test_of_several_codes_the_one_that_promises_least_decides() -> None:
    both = ["EOrder:Insufficient funds", "EService:Unavailable"]
    assert type(errors.from_codes(both, writes=True)) is OutcomeUnknown


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimited), (403, RateLimited), (401, AuthenticationFailed), (502, OutcomeUnknown)],
)
def test_a_status_without_codes_says_what_it_can(status: int, kind: type[ExchangeError]) -> None:
    assert type(errors.from_http(status, "7", writes=True)) is kind
    assert isinstance(errors.from_http(520, "", writes=False), Unavailable)


# --- REST ----------------------------------------------------------------------------------------------


def recorded_result(folder: Path, name: str) -> Any:
    return json.loads((folder / "nautilus" / name).read_text(), parse_float=str)["result"]


def test_recorded_orders_are_read(recorded: Path) -> None:
    opened = recorded_result(recorded, "http_open_orders.json")["open"]["O26VBY-ISGAE-JP5TLU"]
    one = rest_parsing.order_snapshot(SCALES, SYMBOLS, "O26VBY-ISGAE-JP5TLU", opened)
    assert one is not None
    assert (one.symbol, one.side, one.status) == ("BTCUSDT", "buy", SnapshotStatus.WORKING)
    assert (one.price_ticks, one.lots, one.filled_lots, one.client_order_id) == (295_000, 50_000_000, 0, "")
    closed = recorded_result(recorded, "http_closed_orders.json")["closed"]["O5KZFT-GH3AD-LP6TLU"]
    ended = rest_parsing.order_snapshot(SCALES, SYMBOLS, "O5KZFT-GH3AD-LP6TLU", closed)
    assert ended is not None
    assert (ended.status, ended.filled_lots) == (SnapshotStatus.FILLED, 50_000_000)
    short = rest_parsing.order_snapshot(SCALES, SYMBOLS, "O5", {**closed, "vol_exec": "0.1"})
    assert short is not None
    assert short.status is SnapshotStatus.CANCELLED
    other = recorded_result(recorded, "http_open_orders.json")["open"]["OYEQF4-FDE4C-NMUYUI"]
    assert rest_parsing.order_snapshot(SCALES, SYMBOLS, "OYEQF4-FDE4C-NMUYUI", other) is None


@pytest.mark.parametrize(
    "change",
    [{"vol": None}, {"vol_exec": "-0.1"}, {"vol_exec": "0.6"}, {"vol": "1e99"}, {"descr": None}],
)
def test_an_order_with_an_impossible_amount_is_unreadable(change: dict[str, Any]) -> None:
    description = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "29500.0"}
    given = {"status": "open", "vol": "0.5", "vol_exec": "0", "descr": description}
    with pytest.raises(Unreadable):
        rest_parsing.order_snapshot(SCALES, SYMBOLS, "O1", {**given, **change})


def test_recorded_trades_are_read(recorded: Path) -> None:
    trades = recorded_result(recorded, "http_trades_history.json")["trades"]
    one = rest_parsing.fill_report(
        SCALES, "BTCUSDT", "TCCCTY-WJ6EO-4FP4VZ", trades["TCCCTY-WJ6EO-4FP4VZ"], OURS
    )
    assert (one.exchange_order_id, one.client_order_id) == ("O26VBY-ISGAE-JP5TLU", OURS)
    assert (one.price_ticks, one.lots, one.side, one.liquidity) == (295_005, 50_000_000, "buy", "maker")
    assert (one.fee_asset, one.fee_units) == ("USDT", 23_600_000_000)


def test_recorded_pairs_are_read(recorded: Path) -> None:
    pairs = recorded_result(recorded, "http_asset_pairs.json")
    for name in ("BTCUSDT", "XBTUSDT"):
        one = rest_parsing.rules_by_symbol(pairs, [name, "ETHEUR"])[name]
        assert (one.symbol, one.native, one.base, one.quote) == (name, "XBTUSDT", "BTC", "USDT")
        assert (one.tick, one.lot) == (Decimal("0.1"), Decimal("1e-8"))
        assert (one.min_notional, one.min_quantity) == (Decimal("0.5"), Decimal("0.00005"))
        assert (one.maker_bps, one.taker_bps, one.trading) == (25, 40, True)
    lines = (recorded / "ccxt" / "rest_payloads.jsonl").read_text().splitlines()
    volume = next(one["payload"] for one in map(parsed, lines) if one["function"] == "fetch_trading_fee")
    assert rest_parsing.account_fees(volume["result"], "XXBTZUSD") == (16, 26)
    assert rest_parsing.account_fees(volume["result"], "XETHZUSD") == (None, None)


def parsed(line: str) -> Any:
    return json.loads(line, parse_float=str)


def test_the_pairs_of_the_real_tape_are_read(recorded: Path) -> None:
    tape = SHARED / "data" / "cryptofeed_tape" / "KRAKEN.0.gz"
    if not tape.is_file():
        pytest.skip("no recorded tape beside the checkout")
    line = next(
        line for line in gzip.decompress(tape.read_bytes()).decode().splitlines() if "/AssetPairs -> " in line
    )
    pairs = parsed(line.partition(" -> ")[2].partition(": ")[2])["result"]
    rules = rest_parsing.rules_by_symbol(pairs, ["BTCUSD", "ETHBTC", "DOGEEUR", "ADABTC", "LTCJPY"])
    assert sorted(rules) == ["ADABTC", "BTCUSD", "DOGEEUR", "ETHBTC", "LTCJPY"]
    assert rules["BTCUSD"].native == "XXBTZUSD"
    for native, one in pairs.items():
        base, quote = naming.asset_name(one["base"]), naming.asset_name(one["quote"])
        names = naming.pair_names(base, quote)
        if ".d" not in native:
            assert {native, one["altname"]} <= names, native


def test_recorded_balances_are_read(recorded: Path) -> None:
    lines = (recorded / "ccxt" / "rest_payloads.jsonl").read_text().splitlines()
    told = next(one["payload"] for one in map(parsed, lines) if one["function"] == "fetch_balance")
    assert rest_parsing.balances(told["result"]) == {"USD": Decimal("25435.21"), "BTC": Decimal("1.2435")}


class Answering:
    """A transport that answers from a table; what is not in it is refused as forbidden."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def private(self, path: str, **parameters: Any) -> Any:
        answer = self.answers.get(path, AuthenticationFailed("EGeneral:Permission denied"))
        if isinstance(answer, ExchangeError):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "trade", "withdraw"),
    [
        ({"GetApiKeyInfo": {"permissions": ["query-funds", "modify-trades"]}}, True, False),
        ({"GetApiKeyInfo": {"permissions": ["query-funds", "withdraw-funds"]}}, False, True),
        (
            {"GetApiKeyInfo": {"permissions": {"orders": {"modify-orders": True}, "withdraw": False}}},
            True,
            False,
        ),
        ({"GetApiKeyInfo": {}, "AddOrder": OrderRefused("EOrder:Insufficient funds")}, True, False),
        ({"GetApiKeyInfo": Unavailable("EGeneral:Unknown method"), "WithdrawMethods": {}}, False, True),
        ({"AddOrder": {}, "WithdrawMethods": Unavailable("EService:Busy")}, True, True),
    ],
)
def test_what_a_key_may_do_is_told_or_tried(answers: dict[str, Any], trade: bool, withdraw: bool) -> None:
    asked = permissions_of(Answering(**answers))  # type: ignore[arg-type]
    try:
        asked.send(None)
    except StopIteration as found:
        assert (found.value.trade, found.value.withdraw) == (trade, withdraw)
    else:
        raise AssertionError("it waited for something")
