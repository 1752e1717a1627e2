"""The control socket: what an operator may ask of a running process.

Law: whoever may open the socket is the operator (mode 0600).  A change is an input like any other; it is
answered when it is durable, with its position in the ledger.  Nothing here decides.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from actors.sequencer import CoreFailure
from domain.inputs import CorrectBalance, HaltTrading, PauseTrading, ResetHalt, ResumeTrading, StopGrid
from domain.record import Record
from grinder.errors import UserError
from grinder.files import OWNER_ONLY
from grinder.ledger.writer import JournalFailed
from grinder.live.decisions import decision_report
from grinder.live.errors import REASON as ERRORS
from grinder.live.halts import halts_of
from grinder.live.places import address_file, read_json, socket_path, write_private

OPERATOR = "operator"

SIGNAL = "tradingview"
"""Reason of pauses that alerts from outside begin; alerts end no other."""

OPERATOR_ENDS = (ERRORS, OPERATOR, SIGNAL)
"""Pauses that `grinder resume` ends; the others end with what they are for."""

LARGEST_BODY = 64 * 1024

STOPS = ("cancel", "keep-orders", "flatten")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlledGrids(Protocol):
    """What an operator may ask of a run's grids as a whole; every answer says what was decided."""

    async def start(self, symbol: str, operator: str) -> dict[str, Any]:
        """Start a stopped grid again."""

    async def deploy(self, symbol: str, settings: Mapping[str, object], operator: str) -> dict[str, Any]:
        """Let a grid trade under other terms."""

    async def rebalance(self, symbols: Sequence[str], operator: str) -> dict[str, Any]:
        """Place the orders of grids anew."""

    def preview(self, symbol: str, settings: Mapping[str, object]) -> dict[str, Any]:
        """What a deployment would do."""


class Controlled(Protocol):
    """A run as its operator sees it."""

    symbols: tuple[str, ...]

    @property
    def grids(self) -> ControlledGrids:
        """Its grids as a whole."""

    async def command(self, command: Record) -> int:
        """Learn a command; its position, when it is durable."""

    def status(self) -> dict[str, Any]:
        """Everything there is to see."""

    async def health(self) -> dict[str, Any]:
        """Whether all is well: ``healthy`` and what was checked."""

    def request_stop(self, orders: str) -> None:
        """End the run: `orders` is one of `STOPS`."""

    async def hand_over(self, operator: str) -> dict[str, Any]:
        """Let a standby take the run over; which one, and the position of the command."""

    async def differences(self, symbol: str) -> list[CorrectBalance]:
        """What would make the books of a symbol agree with the exchange, asked now."""


def who() -> str:
    """The user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def operator_of(asked: dict[str, Any]) -> str:
    """Who gives a command: whoever the one who may open the socket vouches for, or the user it belongs to."""
    named = asked.get("operator")
    return named[:64] if isinstance(named, str) and named else who()


class ControlServer:
    """Serves the socket of a run folder from `start` to `close`."""

    def __init__(self, folder: Path, run: Controlled) -> None:
        self._folder = folder
        self._run = run
        self.path = socket_path(folder)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Open the socket and say in the run folder where it is."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_errors])
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/status", self._status),
                web.post("/pause", self._pause),
                web.post("/resume", self._resume),
                web.post("/kill", self._kill),
                web.post("/reset", self._reset),
                web.post("/accept", self._accept),
                web.post("/stop", self._stop),
                web.post("/stop-grid", self._stop_grid),
                web.post("/start", self._start_grid),
                web.post("/deploy", self._deploy),
                web.post("/deploy/preview", self._preview),
                web.post("/rebalance", self._rebalance),
                web.post("/failover", self._failover),
                web.post("/decision", self._decision),
            ]
        )
        self._runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        self.path.unlink(missing_ok=True)  # the lock is ours, so whoever left it is gone
        before = os.umask(0o177)
        try:
            await web.UnixSite(self._runner, str(self.path)).start()
        finally:
            os.umask(before)
        self.path.chmod(OWNER_ONLY)
        write_private(address_file(self._folder), {"socket": str(self.path), "process": os.getpid()})

    async def close(self) -> None:
        """Close the socket; the address goes first, so that nobody finds a dead one.

        A process that was taken over from leaves both to the one that has put its own there.
        """
        ours = read_json(address_file(self._folder)).get("process") == os.getpid()
        if ours:
            address_file(self._folder).unlink(missing_ok=True)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if ours:
            self.path.unlink(missing_ok=True)

    # --- questions -------------------------------------------------------------------------------------

    async def _health(self, request: web.Request) -> web.StreamResponse:
        found = await self._run.health()
        return web.json_response(found, status=200 if found["healthy"] else 503)

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(self._run.status())

    # --- commands --------------------------------------------------------------------------------------

    async def _pause(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        reason = SIGNAL if asked.get("reason") == SIGNAL else OPERATOR
        return await self._done(
            PauseTrading(reason=reason, symbol=self._symbol(asked), operator=operator_of(asked))
        )

    async def _resume(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        symbol = self._symbol(asked)
        for reason in (SIGNAL,) if asked.get("reason") == SIGNAL else OPERATOR_ENDS:
            command = ResumeTrading(reason=reason, symbol=symbol, operator=operator_of(asked))
            position = await self._run.command(command)
        return web.json_response({"position": position})

    async def _kill(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        reason = str(asked.get("reason") or OPERATOR)[:200]
        return await self._done(HaltTrading(reason=reason, operator=operator_of(asked)))

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        return await self._done(ResetHalt(operator=operator_of(await _body(request))))

    async def _stop_grid(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        on_stop, symbol = asked.get("on_stop", "cancel"), self._symbol(asked)
        if not symbol or on_stop not in ("keep", "cancel", "flatten"):
            raise UserError(
                "control.stop_grid", "a grid's end takes its symbol and what becomes of its orders",
                value=str(on_stop)[:80], fix="on_stop is keep, cancel or flatten",
            )  # fmt: skip
        reason = f"{asked.get('reason') or OPERATOR} by {operator_of(asked)}"[:200]
        return await self._done(StopGrid(symbol=symbol, on_stop=on_stop, reason=reason))

    async def _start_grid(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        found = await self._run.grids.start(self._one_symbol(asked), operator_of(asked))
        return web.json_response(found)

    async def _deploy(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        symbol, settings = self._one_symbol(asked), _settings(asked)
        return web.json_response(await self._run.grids.deploy(symbol, settings, operator_of(asked)))

    async def _preview(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        return web.json_response(self._run.grids.preview(self._one_symbol(asked), _settings(asked)))

    async def _rebalance(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        symbol = self._symbol(asked)
        symbols = (symbol,) if symbol else self._run.symbols
        return web.json_response(await self._run.grids.rebalance(symbols, operator_of(asked)))

    async def _failover(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(await self._run.hand_over(operator_of(await _body(request))))

    async def _decision(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        # Nothing is awaited between looking at the halts and learning, so none can begin in between.
        halts = halts_of(self._run.status(), self._one_symbol(asked))
        return await self._done(decision_report(asked, operator_of(asked), halts))

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        symbol = self._one_symbol(asked)
        corrections = await self._run.differences(symbol)
        for correction in corrections:
            await self._run.command(correction)
        resume = ResumeTrading(reason="difference", symbol=symbol, operator=operator_of(asked))
        position = await self._run.command(resume)
        corrected = {one.subject: one.units for one in corrections}
        return web.json_response({"position": position, "corrected": corrected})

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        asked = await _body(request)
        orders = asked.get("orders", "cancel")
        if orders not in STOPS:
            raise UserError(
                "control.stop", "a stop has to say what becomes of the orders", value=str(orders)[:80],
                fix="write --cancel, --keep-orders or --flatten",
            )  # fmt: skip
        position = await self._run.command(PauseTrading(reason="stopped", symbol="", operator=who()))
        self._run.request_stop(orders)
        return web.json_response({"position": position, "orders": orders})

    async def _done(self, command: Record) -> web.StreamResponse:
        return web.json_response({"position": await self._run.command(command)})

    def _one_symbol(self, asked: dict[str, Any]) -> str:
        symbol = self._symbol(asked)
        if not symbol:
            known = ", ".join(self._run.symbols)
            raise UserError("control.symbol", "no symbol is named", fix=f"name one of {known}")
        return symbol

    def _symbol(self, asked: dict[str, Any]) -> str:
        symbol = asked.get("symbol") or ""
        if symbol and symbol not in self._run.symbols:
            raise UserError(
                "control.symbol",
                "the run does not trade this symbol",
                value=str(symbol)[:80],
                fix=f"name one of {', '.join(self._run.symbols)}",
            )
        return str(symbol)


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        found = await request.json()
    except ValueError as error:
        raise UserError("control.body", f"the request is not JSON: {error}", fix="send an object") from error
    if not isinstance(found, dict):
        raise UserError("control.body", "the request is no object", fix="send an object")
    return found


def _settings(asked: dict[str, Any]) -> Mapping[str, object]:
    """The settings of a grid that are to be others: texts, numbers, flags, or null to take one out.

    Raises:
        UserError: they are something else.
    """
    found = asked.get("settings") or {}
    if not isinstance(found, dict) or any(isinstance(one, (dict, list)) for one in found.values()):
        raise UserError("control.settings", "settings are an object of single values",
                        fix="send such as {\"spacing_bps\": \"30\"}")  # fmt: skip
    return found


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A refusal as its code, sentence and fix."""
    try:
        return await handler(request)
    except UserError as error:
        return web.json_response({"error": error.as_dict()}, status=422)
    except (CoreFailure, JournalFailed) as error:
        told = {"code": "run.failed", "what": f"the run has failed: {error}", "fix": "see its log"}
        return web.json_response({"error": told}, status=500)
