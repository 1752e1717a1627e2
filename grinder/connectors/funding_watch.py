"""Funding on exchanges whose stream says that some was exchanged, and not on what: it is looked up.

Law: a listener in front of the listener.  It passes everything on, a payment once, and tells what the list of
payments says; a payment that is not listed yet is looked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from actors.ports import ExchangeError, Listener, Signal
from domain.inputs import FundingReport

POLL_S = 15 * 60
"""Without a word from the stream the list is looked at this often."""

LOOKS_S = (0.0, 2.0, 5.0, 15.0)
"""Waits before the looks that follow a word from the stream, until one finds something new."""

OVERLAP_NS = 3_600 * 10**9
"""How far a look reaches behind the last one."""

List = Callable[[int], Awaitable[list[FundingReport]]]


class FundingWatch:
    """See the module.

    Args:
        stream: the private stream's name.
        mark: what a frame holds that speaks of funding.
    """

    def __init__(self, listener: Listener, stream: str, mark: bytes) -> None:
        self._listener = listener
        self._stream = stream
        self._mark = mark
        self._word = asyncio.Event()
        self._marked = False
        self._seen: set[str] = set()

    # --- a listener ------------------------------------------------------------------------------------

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """Pass it on; a frame of the private stream may speak of funding."""
        self._listener.frame(stream, frame, received_ns)
        if stream == self._stream and self._mark in frame:
            self._marked = True
            self._word.set()

    def signal(self, stream: str, signal: Signal) -> None:
        """Pass it on; a payment once."""
        if isinstance(signal, FundingReport):
            if signal.funding_id in self._seen:
                return
            self._seen.add(signal.funding_id)
        self._listener.signal(stream, signal)

    def frame_end(self, stream: str) -> None:
        """Pass it on."""
        self._listener.frame_end(stream)

    def stream_up(self, stream: str) -> None:
        """Pass it on; what was exchanged while it was down is looked for once."""
        self._listener.stream_up(stream)
        if stream == self._stream:
            self._word.set()

    def stream_down(self, stream: str, reason: str) -> None:
        """Pass it on."""
        self._listener.stream_down(stream, reason)

    # --- the looking -----------------------------------------------------------------------------------

    async def run(self, listed: List, now_ns: Callable[[], int]) -> None:
        """Look up payments until cancelled; those from before are not told.

        Args:
            listed: the payments since a time.
            now_ns: the exchange's clock.
        """
        begun_ns = reached_ns = now_ns()
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._word.wait()
            except TimeoutError:
                pass
            self._word.clear()
            looks, self._marked = LOOKS_S if self._marked else LOOKS_S[:1], False
            for wait_s in looks:
                await asyncio.sleep(wait_s)
                at_ns = now_ns()
                try:
                    found = await listed(max(begun_ns, reached_ns - OVERLAP_NS))
                except ExchangeError:
                    continue  # the next look covers the same time
                reached_ns = at_ns
                if self._tell(found):
                    break

    def _tell(self, found: list[FundingReport]) -> bool:
        """Tell what is new; whether anything was."""
        new = [one for one in found if one.funding_id not in self._seen]
        for one in new:
            self.signal(self._stream, one)
        return bool(new)
