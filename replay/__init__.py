"""The core on another clock: backtests, the simulated exchange, the replayer.

Law: nothing here is a second engine.  The core that trades live is fed from here by other edges; there is no
branch anywhere that asks whether this is a backtest.
"""
