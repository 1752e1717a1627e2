"""Binance's protocol with room for more starts.

Law: nothing else differs.  A run that is killed every second starts more often in a minute than a supervisor
would let it, and each start asks for all it has to know: Binance would ban it, and so does its simulation.
"""

from __future__ import annotations

from typing import ClassVar

from grinder.simulated.protocols.binance import BinanceSpotServer


class RoomyBinance(BinanceSpotServer):
    """Ten times the requests a minute."""

    weight_limit: ClassVar[int] = 10 * BinanceSpotServer.weight_limit
