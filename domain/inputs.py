"""Everything the core can learn: commands from the operator, facts from the market, the clock and exchanges.

Law: an input is recorded before anything is decided from it, and nothing else is ever learned.  Facts from
outside are called reports until an actor accepts them; those no actor needs are in `domain.notes`.  `STREAM`
says which input stream a class belongs to, `targets` which actors receive it.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from domain.grids.spec import GridSpec
from domain.instrument import ListInstrument
from domain.notes import NOTES
from domain.record import Record, record

ACCOUNT = "account"
PORTFOLIO = "portfolio"
CLOCK = "clock"


def symbol_actor(symbol: str) -> str:
    """Stream name of the actor that trades `symbol`."""
    return "symbol/" + symbol


# --- operator ------------------------------------------------------------------------------------------


@record("OpenAccount/1")
class OpenAccount(Record):
    """Command: begin the books of an exchange account.

    Attributes:
        ledger_id: 8 hex digits; the prefix of every client order id.
        quote: currency in which everything is valued.
        decimals: digits after the point of one unit of each asset, as (asset, decimals) pairs.
        balances: opening balances as (asset, units) pairs.
        fixed_prices: value of one whole unit of an asset in quote units, as (asset, quote units) pairs, for
            assets that no instrument prices (a third fee asset).
    """

    ledger_id: str
    exchange: str
    quote: str
    decimals: tuple[tuple[str, int], ...]
    balances: tuple[tuple[str, int], ...]
    fixed_prices: tuple[tuple[str, int], ...] = ()


@record("OpenPortfolio/1")
class OpenPortfolio(Record):
    """Command: begin risk control under these limits; 0 switches a limit off.

    Attributes:
        session_drawdown_ppm, daily_drawdown_ppm: halt at this fall from the high-water mark.
        inventory_max: largest value of a symbol's holding and same-side resting orders, quote units.
        orders_per_minute: orders allowed in any 60 s.
        cash: opening value in quote units of everything that no instrument prices.
    """

    session_drawdown_ppm: int
    daily_drawdown_ppm: int
    inventory_max: int
    orders_per_minute: int
    cash: int
    holdings: tuple[tuple[str, int], ...] = ()
    """Base units held at the start, as (symbol, units) pairs."""


@record("ChangeLimits/1")
class ChangeLimits(Record):
    """Command: go on under these limits; each means what it means in `OpenPortfolio`."""

    session_drawdown_ppm: int
    daily_drawdown_ppm: int
    inventory_max: int
    orders_per_minute: int


@record("StartClock/1")
class StartClock(Record):
    """Command: mark equity every `mark_interval_ns` and at each UTC midnight."""

    mark_interval_ns: int


@record("StartGrid/1")
class StartGrid(Record):
    """Command: trade a grid on a listed symbol from its next price on.

    Attributes:
        mode: ``long`` (sells only what it holds) or ``neutral`` (may go short).
        initial_inventory: ``buy``, ``none`` or ``existing``.
        existing_units: base units already held that the grid may sell (``existing``).
        stop_loss_ticks, take_profit_ticks: halt the grid at or beyond; 0 is none.
        on_stop: ``keep``, ``cancel`` or ``flatten``.
        symbol_index: position of the symbol in the run; part of its order ids.
    """

    symbol: str
    symbol_index: int
    ledger_id: str
    spec: GridSpec
    mode: str
    initial_inventory: str
    existing_units: int
    stop_loss_ticks: int
    take_profit_ticks: int
    on_stop: str
    post_only: bool


@record("StopGrid/1")
class StopGrid(Record):
    """Command: stop a grid, doing with its orders and holdings what `on_stop` says."""

    symbol: str
    on_stop: str
    reason: str


@record("SettingChange/1")
class SettingChange(Record):
    """One setting that is other than it was, as text; empty where it is not given."""

    setting: str
    old: str
    new: str


@record("DeployGrid/1")
class DeployGrid(Record):
    """Command: let a symbol trade under these terms; what the grid before it holds, the new one takes over.

    Attributes:
        start: the terms; its `existing_units` are what the grid may sell beyond what it takes over.
        changes: the settings that are other than they were until now.
        operator: who.
        replaces: a grid that runs is stopped first, its orders cancelled; otherwise it is in the way.
    """

    start: StartGrid
    changes: tuple[SettingChange, ...]
    operator: str
    replaces: bool


@record("RebalanceGrid/1")
class RebalanceGrid(Record):
    """Command: cancel the orders of a grid's levels and place them anew as its levels stand."""

    symbol: str
    operator: str


@record("HaltTrading/1")
class HaltTrading(Record):
    """Command: latch the kill switch; `operator` is who, where it was a person."""

    reason: str
    operator: str | UnsetType = UNSET


@record("ResetHalt/1")
class ResetHalt(Record):
    """Command: release the kill switch; names who did."""

    operator: str


@record("PauseTrading/1")
class PauseTrading(Record):
    """Command: no new order leaves until the same reason is resumed; working orders stay.

    Attributes:
        reason: what it is for, such as ``operator``, ``stream_stale``, ``circuit_open``; pauses for several
            reasons add up.
        symbol: the symbol it is about; empty for all.
        operator: who, or the part of grinder that asked.
    """

    reason: str
    symbol: str
    operator: str


@record("ResumeTrading/1")
class ResumeTrading(Record):
    """Command: end the pause for one reason (an empty reason: every pause of that symbol, or of all)."""

    reason: str
    symbol: str
    operator: str


@record("SetRequestBudget/1")
class SetRequestBudget(Record):
    """Command: send at most this many order requests in a window; cancels may use the reserve as well.

    Attributes:
        requests: requests in any window; 0 is no limit.
        reserve: how many of them only cancels may use.
    """

    requests: int
    reserve: int
    window_ns: int


@record("CorrectBalance/1")
class CorrectBalance(Record):
    """Command: take over what the exchange says of an asset (or of a perpetual position), with a reason.

    Attributes:
        subject: the asset, or the symbol of a perpetual.
        units: change of the asset's units, or of the position's base units.
        price_ticks: price at which a position's change is booked; 0 for an asset.
    """

    subject: str
    units: int
    price_ticks: int
    reason: str
    operator: str


@record("TakeCheckpoint/1")
class TakeCheckpoint(Record):
    """Command: every actor records the hash of its whole state."""

    reason: str


@record("CarryState/1")
class CarryState(Record):
    """Command: begin with a state another ledger led to, instead of the state before any record.

    What a ledger begins with that holds only a part of another one's history (`grinder export --slice`).

    Attributes:
        stream: the actor's.
        state: its whole state as `domain.codec.state_text` writes it.
    """

    stream: str
    state: str


# --- market and clock ----------------------------------------------------------------------------------


@record("TickReport/1")
class TickReport(Record):
    """A price the gate woke the core for."""

    symbol: str
    price_ticks: int


@record("ClockReport/1")
class ClockReport(Record):
    """Time has come for the clock; carries the latest price of every symbol as (symbol, ticks)."""

    marks: tuple[tuple[str, int], ...]


# --- exchange ------------------------------------------------------------------------------------------


@record("OrderAcceptedReport/1")
class OrderAcceptedReport(Record):
    """The exchange took an order and let it rest."""

    client_order_id: str
    exchange_order_id: str


@record("OrderRejectedReport/1")
class OrderRejectedReport(Record):
    """The exchange refused an order; `reason` is its code, `text` its words."""

    client_order_id: str
    reason: str
    text: str


@record("OrderCancelledReport/1")
class OrderCancelledReport(Record):
    """The exchange ended an order with a rest; asked for or not (`reason`)."""

    client_order_id: str
    reason: str


@record("CancelRejectedReport/1")
class CancelRejectedReport(Record):
    """The exchange refused a cancel; says nothing about the order itself."""

    client_order_id: str
    reason: str
    text: str


@record("OrderAmendedReport/1")
class OrderAmendedReport(Record):
    """The exchange changed price or quantity of a resting order in place."""

    client_order_id: str
    price_ticks: int
    lots: int


@record("FillReport/1")
class FillReport(Record):
    """One execution.

    Attributes:
        fill_id: unique on the exchange.
        liquidity: ``maker`` or ``taker``.
        fee_asset, fee_units: what was charged (negative is a rebate) in the asset it was charged in.
        fee_value: the same in quote units at the price of the fill.
    """

    client_order_id: str
    exchange_order_id: str
    fill_id: str
    symbol: str
    side: str
    price_ticks: int
    lots: int
    liquidity: str
    fee_asset: str
    fee_units: int
    fee_value: int


@record("NoAnswerReport/1")
class NoAnswerReport(Record):
    """A request got no answer in time: its outcome is unknown."""

    client_order_id: str


@record("OrderAbsentReport/1")
class OrderAbsentReport(Record):
    """The exchange has been shown not to hold an order whose outcome was unknown."""

    client_order_id: str
    evidence: str


@record("FundingReport/1")
class FundingReport(Record):
    """Funding was exchanged on a perpetual position; positive units were received."""

    funding_id: str
    symbol: str
    rate_ppm: int
    price_ticks: int
    units: int


@record("RateLimitReport/1")
class RateLimitReport(Record):
    """The exchange refuses requests until a time; `banned` when it shut us out altogether."""

    until_ns: int
    code: str
    banned: bool


@record("OrphanOrderReport/1")
class OrphanOrderReport(Record):
    """The exchange holds an order with our prefix that these books do not know."""

    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: str
    price_ticks: int
    lots: int


@record("ReconciliationReport/1")
class ReconciliationReport(Record):
    """What the exchange holds, seen at one moment: an observation, never a fill.

    Attributes:
        cause: ``start``, ``reconnect``, ``periodic`` or ``operator``.
        open_orders: how many of our orders work there.
        foreign_orders: ids of open orders that are not ours; they are left alone.
        balances: total units of each asset the books know, as (asset, units).
        positions: base units of each perpetual, as (symbol, units).
        in_flight: an order or a cancel was under way, so amounts may differ for a moment.
    """

    cause: str
    open_orders: int
    foreign_orders: tuple[str, ...]
    balances: tuple[tuple[str, int], ...]
    positions: tuple[tuple[str, int], ...]
    in_flight: bool


EXCHANGE_REPORTS: tuple[type[Record], ...] = (
    OrderAcceptedReport,
    OrderRejectedReport,
    OrderCancelledReport,
    CancelRejectedReport,
    OrderAmendedReport,
    FillReport,
    NoAnswerReport,
    OrderAbsentReport,
    FundingReport,
    RateLimitReport,
    OrphanOrderReport,
    ReconciliationReport,
)

STREAM: dict[type[Record], str] = {
    OpenAccount: "input/operator",
    OpenPortfolio: "input/operator",
    ChangeLimits: "input/operator",
    CarryState: "input/operator",
    StartClock: "input/operator",
    ListInstrument: "input/operator",
    StartGrid: "input/operator",
    StopGrid: "input/operator",
    DeployGrid: "input/operator",
    RebalanceGrid: "input/operator",
    HaltTrading: "input/operator",
    ResetHalt: "input/operator",
    TakeCheckpoint: "input/operator",
    PauseTrading: "input/operator",
    ResumeTrading: "input/operator",
    SetRequestBudget: "input/operator",
    CorrectBalance: "input/operator",
    TickReport: "input/market",
    ClockReport: "input/clock",
    **dict.fromkeys(EXCHANGE_REPORTS, "input/exchange"),
    **dict.fromkeys(NOTES, "input/run"),
}

EVERYONE = ("*",)
"""Target of inputs that go to every actor there is, in the order of their names."""


def targets(report: Record) -> tuple[str, ...]:
    """Actors that receive an input, in this order."""
    if type(report) in _ACCOUNT_REPORTS:
        return _ACCOUNT_ALONE
    if isinstance(report, TickReport):
        return (symbol_actor(report.symbol), PORTFOLIO)
    if isinstance(report, (ClockReport, StartClock)):
        return (CLOCK,)
    if isinstance(report, ListInstrument):
        return (symbol_actor(report.instrument.symbol), ACCOUNT, PORTFOLIO)
    if isinstance(report, (StartGrid, StopGrid)):
        return (symbol_actor(report.symbol),)
    if isinstance(report, TakeCheckpoint):
        return EVERYONE
    if isinstance(report, CarryState):
        return (report.stream,)
    if isinstance(report, (OpenAccount, SetRequestBudget, CorrectBalance)):
        return (ACCOUNT,)
    if type(report) in NOTES:
        return ()
    return (PORTFOLIO,)


_ACCOUNT_REPORTS = frozenset(EXCHANGE_REPORTS)
_ACCOUNT_ALONE = (ACCOUNT,)
