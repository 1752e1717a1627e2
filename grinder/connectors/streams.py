"""One WebSocket of an exchange, kept up.

Law: every frame is told before it is understood, in the order it came.  A stream that is down, silent, ended
by the exchange or shown to have lost something is renewed, by itself, until it is cancelled; what was missed
meanwhile is the listener's to fetch, which is why every loss of it is told.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import aiohttp
import attrs
import orjson

from actors.ports import Decoder, ExchangeError, Expired, Gap, Listener
from grinder.connectors.converting import Unreadable

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0
SPREAD = 0.1
"""Share of a delay that is drawn: bots an exchange has dropped together do not come back together."""

STEADY_S = 5.0
"""A connection that lasted this long was a success: the next failure waits the first delay again."""

CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
GREETING_TIMEOUT_S = 10.0
LONGEST_FRAME = 16 * 1024 * 1024

Payload = str | dict[str, Any] | list[Any]
Url = str | Callable[[], Awaitable[str]]


class StreamLost(Exception):
    """The connection ended or has to; the text says why."""


@attrs.frozen(kw_only=True)
class Keeping:
    """How one stream is kept up.

    Attributes:
        keep_alive: gives the frame that keeps the connection open, in the exchange's own kind; None for none.
        keep_alive_s: seconds between two of them.
        heartbeat_s: seconds between two pings of the WebSocket protocol, whose missing pong ends the
            connection; None for none.
        silence_s: seconds without any frame after which the connection is renewed; None for never.
        renew_on_gap: a `Gap` in what was decoded renews the connection, and so brings fresh snapshots.
    """

    keep_alive: Callable[[], Payload] | None = None
    keep_alive_s: float = 20.0
    heartbeat_s: float | None = None
    silence_s: float | None = None
    renew_on_gap: bool = True
    first_delay_s: float = FIRST_DELAY_S
    longest_delay_s: float = LONGEST_DELAY_S
    steady_s: float = STEADY_S


class Stream:
    """Keeps one WebSocket up and passes on what it brings.

    Args:
        name: what the listener and the tape know it by.
        url: the address, or a coroutine function that gives one for each connection (listen keys, tokens).
        decoder: kept over reconnections, so that decoding a tape gives what was decoded live.
        greet: run after each connection, before the stream counts as up: log in, subscribe.  It may `send`
            and `receive`; an `ExchangeError` or `StreamLost` from it ends the attempt.
        clock: ns.
        chance: evenly drawn from 0 to 1; spreads the delays before reconnections.
    """

    def __init__(
        self,
        name: str,
        url: Url,
        *,
        listener: Listener,
        decoder: Decoder,
        clock: Callable[[], int],
        greet: Callable[[Stream], Awaitable[None]] | None = None,
        keeping: Keeping | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._url = url
        self._listener = listener
        self._decoder = decoder
        self._clock = clock
        self._greet = greet
        self._keeping = keeping or Keeping()
        self._chance = chance
        self._socket: aiohttp.ClientWebSocketResponse[Literal[False]] | None = None
        self._ending: asyncio.Future[str] | None = None
        self._dropped = False
        self._last_frame = 0.0
        self._up = False

    @property
    def up(self) -> bool:
        """Whether it is connected and greeted."""
        return self._up

    async def run(self) -> None:
        """Keep the stream up until cancelled."""
        delay = self._keeping.first_delay_s
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as session:
            while True:
                began = loop.time()
                was_up = await self._connection(session)
                steady = was_up and loop.time() - began >= self._keeping.steady_s
                if steady:
                    delay = self._keeping.first_delay_s
                if steady and self._dropped:
                    continue  # renewed on purpose while the exchange was well: no reason to wait
                await asyncio.sleep(delay * (1 + SPREAD * (2 * self._chance() - 1)))
                delay = min(delay * 2, self._keeping.longest_delay_s)

    def drop(self, reason: str = "asked for") -> None:
        """End this connection; the next follows by itself.  Nothing happens while there is none."""
        if self._ending is not None and not self._ending.done():
            self._dropped = True
            self._ending.set_result(reason)

    async def send(self, payload: Payload) -> None:
        """Send a frame: text as it is, anything else as JSON.

        Raises:
            StreamLost: there is no connection, or it ended.
        """
        if self._socket is None:
            raise StreamLost("not connected")
        text = payload if isinstance(payload, str) else orjson.dumps(payload).decode()
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise StreamLost(_words(error)) from error

    async def receive(self, timeout_s: float = GREETING_TIMEOUT_S) -> bytes:
        """The next frame, for `greet` only: it has been told and decoded as every other.

        Raises:
            StreamLost: the connection ended, or nothing came in time.
        """
        if self._socket is None:
            raise StreamLost("not connected")
        try:
            message = await self._socket.receive(timeout_s)
        except TimeoutError:
            raise StreamLost(f"nothing came for {timeout_s} s") from None
        return self._take(self._socket, message)

    async def _connection(self, session: aiohttp.ClientSession) -> bool:
        """One connection from its beginning to its end; whether it had come up."""
        self._dropped = False
        ending: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ending = ending
        holding = asyncio.create_task(self._hold(session))
        reason = "closed"
        try:
            await asyncio.wait((holding, ending), return_when=asyncio.FIRST_COMPLETED)
            reason = ending.result() if ending.done() else holding.result()
        finally:
            self._ending = None
            was_up, self._up = self._up, False
            holding.cancel()
            await asyncio.wait((holding,))
            self._listener.stream_down(self.name, reason)
        if not holding.cancelled():
            holding.result()  # a mistake of ours is not taken for a lost connection
        return was_up

    async def _hold(self, session: aiohttp.ClientSession) -> str:
        """Connect, greet and receive until the connection ends; why it did."""
        minding: asyncio.Task[None] | None = None
        try:
            url = self._url if isinstance(self._url, str) else await self._url()
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                socket = await session.ws_connect(
                    url,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
                    heartbeat=self._keeping.heartbeat_s,
                    max_msg_size=LONGEST_FRAME,
                    decode_text=False,
                )
            async with socket:
                self._socket = socket
                self._last_frame = asyncio.get_running_loop().time()
                if self._greet is not None:
                    await self._greet(self)
                self._up = True
                self._listener.stream_up(self.name)
                minding = asyncio.create_task(self._mind())
                while True:
                    self._take(socket, await socket.receive())
        except TimeoutError:
            return "no connection in time"
        except (StreamLost, ExchangeError, Unreadable, aiohttp.ClientError, OSError) as error:
            return _words(error)
        finally:
            self._socket = None
            if minding is not None:
                minding.cancel()

    def _take(
        self,
        socket: aiohttp.ClientWebSocketResponse[Literal[False]],
        message: Any,
    ) -> bytes:
        """Tell a frame and what it means; raises `StreamLost` at the end of the connection."""
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            raise StreamLost(f"ended by the exchange ({socket.close_code})")
        frame: bytes = message.data
        received_ns = self._clock()
        self._last_frame = asyncio.get_running_loop().time()
        self._listener.frame(self.name, frame, received_ns)
        try:
            for signal in self._decoder.decode(self.name, frame, received_ns):
                self._listener.signal(self.name, signal)
                if isinstance(signal, Expired) or (isinstance(signal, Gap) and self._keeping.renew_on_gap):
                    self.drop(signal.detail)
        finally:
            self._listener.frame_end(self.name)  # of what could be read, even when the rest could not
        return frame

    async def _mind(self) -> None:
        """Send what keeps the connection open, and end it when it has been silent for too long."""
        loop = asyncio.get_running_loop()
        keeping = self._keeping
        next_frame = loop.time() + keeping.keep_alive_s
        while True:
            wakes = []
            if keeping.keep_alive is not None:
                wakes.append(next_frame)
            if keeping.silence_s is not None:
                wakes.append(self._last_frame + keeping.silence_s)
            if not wakes:
                return
            await asyncio.sleep(max(0.0, min(wakes) - loop.time()))
            if keeping.silence_s is not None and loop.time() >= self._last_frame + keeping.silence_s:
                self.drop(f"silent for {keeping.silence_s} s")
                return
            if keeping.keep_alive is not None and loop.time() >= next_frame:
                next_frame = loop.time() + keeping.keep_alive_s
                try:
                    await self.send(keeping.keep_alive())
                except StreamLost as lost:
                    self.drop(str(lost))
                    return


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if not isinstance(error, StreamLost) else str(error)
