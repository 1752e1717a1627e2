"""The configuration a new user starts from.

Law: it validates as it stands, shows every section, and says in a comment what each line is for.
"""

from __future__ import annotations

from typing import Final

_SAMPLE: Final = """\
# A grinder configuration.  Every setting: docs/config.md.  Check it: grinder config validate -c FILE
# Numbers with a fraction are written in quotes, so that they are read digit for digit.
version: 1

account:
  exchange: simulated       # orders never leave this machine; or binance, bybit, okx, kraken, ...
  # connector: my-exchange  # with `exchange: other`: the entry point of another package
  # endpoint: {rest: "http://127.0.0.1:8700", ws: "ws://127.0.0.1:8700/ws", ws_private: ""}   # sim-exchange
  quote: USDT               # the currency profit is counted in
  balance: "10000"          # USDT at the start
  # assets: {BTC: "0.05"}   # other assets held at the start
  fees:
    maker_bps: "1"          # hundredths of a percent of the notional; negative is a rebate
    taker_bps: "5"
    asset: quote            # quote, base, or a third asset with its asset_price
    # asset_price: "600"

fills:
  model: touch              # touch (optimistic), through (pessimistic), queue
  feed_latency_ms: 0
  order_latency_ms: 0
  latency_jitter_ms: 0      # each way takes up to this much longer, drawn from the seed
  partial: "off"            # "off", or volume: at most the traded volume
  queue_ahead_pct: "100"    # for queue: share of the displayed quantity that is ahead

instruments:
  BTCUSDT:
    kind: spot              # spot, or linear (perpetual contract)
    tick: "0.1"             # smallest price step; without it, taken from the data
    lot: "0.001"            # smallest quantity step; without it, taken from the data
    min_notional: "5"       # smallest order, in USDT
    base: BTC
    quote: USDT
  ETHUSDT:
    kind: linear
    tick: "0.01"
    lot: "0.001"
    min_notional: "5"
    leverage: "1"
    funding_rate_bps: "1"   # longs pay shorts this every interval
    funding_interval_hours: 8

# Limits that halt trading.  Without the section there are none; a key set to null is switched off.
risk:
  session_drawdown_pct: "3"
  daily_drawdown_pct: "5"
  inventory_max_quote: "5000"
  orders_per_minute: 60

run:
  mark_interval_seconds: 300   # how often equity is marked

# For `grinder paper` and `grinder run`; a backtest looks at none of it.
live:
  reconcile_seconds: 60        # how often the books are compared with the exchange
  stale_seconds: 20            # a stream silent for longer is renewed; no new order leaves meanwhile
  dead_man_seconds: 60         # the exchange cancels everything after this long without us; 0 never
  clock_drift_ms: 1000         # largest difference from the exchange's clock
  # requests: 50               # most order requests in the window; left out, the exchange's own rate
  # request_reserve: 10        # how many of them only cancels may use
  request_window_seconds: 10
  drain_seconds: 5             # how long a stop waits for what is under way
  disk_free_mb: 256            # with less room no new order leaves
  keep_awake: false            # keep the processors from sleeping: orders leave sooner, it costs power

observe:
  metrics_port: 0              # port on 127.0.0.1 for /metrics, /livez, /readyz; 0 is none
  log_file: ""                 # the log also goes to this file, set aside at 100 MB, ten are kept
  # alerts:                    # who is told, by a name of yours
  #   ops: {url_from: OPS_WEBHOOK_URL, format: slack, level: warning}   # the URL is in that variable

record:
  tape: true                   # keep every raw frame
  segment_mb: 64

grids:
  # Twenty equal steps between two prices: buys below the price, sells above it.
  - symbol: BTCUSDT
    mode: long
    spacing: arithmetic     # or geometric: equal ratios
    lower_price: "60000"
    upper_price: "63000"
    grid_number: 20
    quote_investment: "5000"   # split evenly over the levels; or `quantity`, in BTC for each order
    initial_inventory: buy  # buy, none, existing
    stop_loss_price: "58000"
    take_profit_price: "65000"
    on_stop: cancel         # keep, cancel, flatten
    post_only: true
"""

NEUTRAL_GRID: Final = """\
  # Ten levels on each side of a center, long or short; needs an instrument of kind linear.
  - symbol: ETHUSDT
    mode: neutral
    spacing: geometric      # or uniform: equal steps in basis points of the center
    center_price: "3000"
    spacing_bps: "20"
    levels_per_side: 10
    quantity: "0.01"
"""


def sample_config() -> str:
    """A commented configuration that validates: one grid in use, one of the other kind commented out."""
    comment = "".join(f"  # {line.removeprefix('  ')}\n" for line in NEUTRAL_GRID.splitlines())
    return f"{_SAMPLE}\n{comment}"
