"""What is done about a gap: a book that went wrong is subscribed anew, anything else renews the connection.

Law: everything is passed on first; whoever listens learns of the gap before it is mended.  A book is asked
for once each time it goes wrong; if no snapshot comes, the connection is renewed after all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from actors.ports import Gap, Listener, Quote, Signal
from grinder.connectors.converting import Scales
from grinder.connectors.kraken.decoder import BOOK_DEPTH, KrakenDecoder
from grinder.connectors.kraken.naming import stream_pair
from grinder.connectors.kraken.subscribing import PUBLIC
from grinder.connectors.streams import Stream, StreamLost

SNAPSHOT_S = 5.0
"""How long a book that was asked for may take."""


class Renewing:
    """A listener between the streams and whoever listens.

    Args:
        streams: by name; filled when the streams are made.
    """

    def __init__(
        self, listener: Listener, decoder: KrakenDecoder, scales: Scales, streams: Mapping[str, Stream]
    ) -> None:
        self._listener = listener
        self._decoder = decoder
        self._scales = scales
        self._streams = streams
        self._asked: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Passed on."""
        self._listener.frame(stream, frame, received_ns)

    def signal(self, stream: str, signal: Signal) -> None:
        """Passed on; after a gap, what is stale is renewed."""
        if isinstance(signal, Quote) and signal.symbol in self._asked:
            self._asked.discard(signal.symbol)
            if not self._asked:
                self._listener.stream_up(stream)  # every book speaks again
        self._listener.signal(stream, signal)
        if isinstance(signal, Gap) and stream in self._streams:
            self._renew(self._streams[stream], signal)

    def frame_end(self, stream: str) -> None:
        """Pass it on."""
        self._listener.frame_end(stream)

    def stream_up(self, stream: str) -> None:
        """Passed on."""
        self._listener.stream_up(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        """Passed on; the next connection begins with every book."""
        if stream == PUBLIC:
            self._asked.clear()
        self._listener.stream_down(stream, reason)

    def close(self) -> None:
        """Ask for nothing more."""
        for task in self._tasks:
            task.cancel()

    def _renew(self, stream: Stream, gap: Gap) -> None:
        wrong = self._decoder.stale - self._asked
        if not wrong:
            stream.drop(gap.detail)
            return
        self._asked |= wrong
        task = asyncio.ensure_future(self._ask(stream, frozenset(wrong)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, stream: Stream, symbols: frozenset[str]) -> None:
        listed = [self._scales.instrument(symbol) for symbol in sorted(symbols)]
        pairs = [stream_pair(one.base, one.quote) for one in listed]
        params = {"channel": "book", "symbol": pairs, "depth": BOOK_DEPTH}
        try:
            await stream.send({"method": "unsubscribe", "params": params})
            await stream.send({"method": "subscribe", "params": params})
        except StreamLost:
            return  # the next connection subscribes anew
        await asyncio.sleep(SNAPSHOT_S)
        if symbols & self._decoder.stale & self._asked:
            stream.drop(f"no snapshot of {', '.join(pairs)} in {SNAPSHOT_S} s")
