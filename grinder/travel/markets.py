"""The market a run can be run on over: the data of a backtest, the feed of a paper run, or its tape.

Law: the same rows, or none.  A backtest's data are held against the digest in its manifest; the segments of a
tape against the hashes in the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from actors.ports import Quote, Signal, Trade
from domain.codec import decode
from domain.instrument import Instrument
from domain.notes import TapeSegmentReport
from grinder.commands.backtest import load_markets
from grinder.config import Config
from grinder.data import DataArgument, parse_data_argument
from grinder.errors import DataError, UserError
from grinder.travel.parents import BACKTEST, SIMULATION, Parent
from grinder.wiring import data_digest
from replay.ticks import TickOrigin, Ticks

FEED, TAPE = "feed", "tape"

USUAL_ROWS = 20_000
"""Rows of a generated market whose manifest does not say how many."""


@attrs.frozen
class Market:
    """Rows by symbol, and what they were taken from: ``data``, ``feed`` or ``tape``."""

    rows: dict[str, Ticks]
    source: str


def market_of(
    parent: Parent, config: Config, after: Config, given: Sequence[str], listed: Mapping[str, Instrument]
) -> Market:
    """The market of a run.

    Args:
        config: what the run was made from; after: what it goes on with, which may need sizes as well.
        given: data arguments in the place of those in the manifest.
        listed: the instruments, for the scales of a tape.

    Raises:
        DataError: the data are not those the run was made from, or cannot be read.
        TapeError: the tape is missing or damaged.
    """
    if parent.base == BACKTEST:
        return Market(_same_data(parent, config, after, given), "data")
    if given:
        raise UserError(
            "usage.data", "--data is for runs that were made from data", fix="leave it out", value=given[0]
        )
    if parent.base == SIMULATION:
        return Market(_simulated(parent, config), "data" if _arguments(parent) else FEED)
    feed = str(parent.manifest.get("feed", ""))
    if feed and feed != "exchange":
        from grinder.live.accounts import load_playback
        from grinder.live.spec import RunSpec

        spec = RunSpec(
            mode="paper",
            ledger_id=parent.ledger_id,
            config=config,
            feed=feed,
            seed=parent.seed,
            rows=int(parent.manifest.get("rows", 0)),
        )
        playback = load_playback(spec)
        assert playback is not None
        return Market({symbol: _as_seen(ticks) for symbol, ticks in playback.markets.items()}, FEED)
    return Market(_taped(parent, listed), TAPE)


def _same_data(parent: Parent, config: Config, after: Config, given: Sequence[str]) -> dict[str, Ticks]:
    noted: dict[str, Any] = parent.manifest.get("data", {})
    arguments: list[DataArgument] = [parse_data_argument(one) for one in given or noted.get("arguments", ())]
    missing = next((one.path for one in arguments if not one.path.exists()), None)
    if missing is not None or not arguments:
        raise DataError(
            "fork.no_data",
            "the data the run was made from is not where its manifest says",
            place=str(missing or parent.folder.manifest),
            fix="say where it is now with --data [SYMBOL=]PATH",
        )
    rows = load_markets(config, arguments)
    digest = data_digest(rows)
    if digest != noted.get("sha256"):
        raise DataError(
            "fork.other_data",
            "the data is not what the run was made from",
            place=", ".join(str(one.path) for one in arguments),
            value=f"sha256 {digest}, the run's data had {noted.get('sha256', 'none')}",
            fix="name the same data with --data, or run a backtest on these",
        )
    return rows if after.fills == config.fills else load_markets(after, arguments)


def _arguments(parent: Parent) -> tuple[str, ...]:
    return tuple(parent.manifest.get("data", {}).get("arguments", ()))


def _simulated(parent: Parent, config: Config) -> dict[str, Ticks]:
    """The market of a simulation, made or read once more."""
    from grinder.commands.simulate import SimulationAsked, playback_of

    rows = int(parent.manifest.get("rows", USUAL_ROWS))
    asked = SimulationAsked(config=config, seed=parent.seed, data=_arguments(parent), rows=rows)
    markets = playback_of(asked).markets
    digest = data_digest(markets)
    if digest != parent.manifest.get("data", {}).get("sha256"):
        raise DataError(
            "fork.other_data",
            "the market of the simulation does not come out again",
            place=", ".join(_arguments(parent)) or str(parent.folder.path),
            value=f"sha256 {digest}",
            fix="restore the data the simulation was made from",
        )
    return {symbol: _as_seen(ticks) for symbol, ticks in markets.items()}


def _as_seen(ticks: Ticks) -> Ticks:
    """Rows whose price is what a live gate makes of their quotes: the middle, rounded down."""
    if ticks.bid is None or ticks.ask is None:
        return ticks
    return attrs.evolve(ticks, price=np.ascontiguousarray((ticks.bid + ticks.ask) // 2))


# --- from the tape -------------------------------------------------------------------------------------


class _Collected:
    """Rows of one symbol as its quotes and trades came."""

    def __init__(self) -> None:
        self.quote: Quote | None = None
        self.rows: list[tuple[int, ...]] = []

    def take(self, signal: Quote | Trade, ts_ns: int) -> None:
        """A quote changes the best prices; a trade happens between them."""
        if isinstance(signal, Quote):
            self.quote = signal
        quote = self.quote
        if quote is None:
            return
        mid = (quote.bid_ticks + quote.ask_ticks) // 2
        best = (quote.bid_ticks, quote.ask_ticks, quote.bid_lots, quote.ask_lots)
        if isinstance(signal, Trade):
            side = 1 if signal.buyer_took else -1
            self.rows.append((ts_ns, mid, signal.price_ticks, signal.price_ticks, signal.lots, side, *best))
        else:
            self.rows.append((ts_ns, mid, quote.ask_ticks, quote.bid_ticks, 0, 0, *best))


_COLUMNS = ("ts", "price", "low", "high", "qty", "side", "bid", "ask", "bid_qty", "ask_qty")


def _taped(parent: Parent, listed: Mapping[str, Instrument]) -> dict[str, Ticks]:
    from grinder.tape.layout import FOLDER, Frame, Header
    from grinder.tape.proof import check_tape, connector_source

    with parent.connected() as connection:
        states = connection.execute(
            "SELECT state FROM stored_events WHERE topic = ? ORDER BY rowid", (TapeSegmentReport.TOPIC,)
        ).fetchall()
    reports = [decode(TapeSegmentReport.TOPIC, state) for (state,) in states]
    tape = check_tape(parent.root / FOLDER, reports)
    found = {symbol: _Collected() for symbol in listed}
    session, decoder = -1, None
    for entry in tape.entries():
        if isinstance(entry, Header) and entry.session != session:
            source = connector_source(entry.exchange)
            source.relist(listed, {})
            session, decoder = entry.session, source.decoder()
        elif isinstance(entry, Frame) and decoder is not None:
            for signal in decoder.decode(entry.stream, entry.frame, entry.received_ns):
                _collect(found, signal, entry.received_ns)
    return {symbol: _ticks(symbol, one.rows, listed[symbol], parent.root) for symbol, one in found.items()}


def _collect(found: Mapping[str, _Collected], signal: Signal, ts_ns: int) -> None:
    if isinstance(signal, (Quote, Trade)) and signal.symbol in found:
        found[signal.symbol].take(signal, ts_ns)


def _ticks(symbol: str, rows: Sequence[tuple[int, ...]], listed: Instrument, run: Path) -> Ticks:
    if not rows:
        raise DataError(
            "fork.no_market", "the tape holds no prices of this symbol", place=str(run), value=symbol
        )
    columns = np.array(rows, dtype=np.int64).T
    named: dict[str, Any] = {
        name: np.ascontiguousarray(column) for name, column in zip(_COLUMNS, columns, strict=True)
    }
    return Ticks(
        symbol=symbol,
        origin=TickOrigin.TRADES_AND_QUOTES,
        tick=Decimal(listed.tick),
        lot=Decimal(listed.lot),
        **named,
    )
