"""The server: wired from its parts, started in order, stopped in reverse.

Law: all wiring of the API is here.  It serves until it is told to stop and takes nothing of a run with it.
"""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web

from grinder.errors import EnvironmentFault
from grinder.marl.agents.choosing import choose_policy
from grinder.web.access.attempts import Attempts
from grinder.web.access.audit import Audit
from grinder.web.access.passwords import COST
from grinder.web.access.repeats import Repeats
from grinder.web.access.signals import Signals
from grinder.web.access.store import AccessStore
from grinder.web.access.tokens import Tokens
from grinder.web.access.users import Users
from grinder.web.call import Route, Services
from grinder.web.guard import LARGEST_BODY, SERVICES, frame, gated, harden
from grinder.web.limits import Limits
from grinder.web.market import CoinGecko, MarketOverview, MarketSource, NoMarket
from grinder.web.measuring import WebMetrics
from grinder.web.routes import ROUTES
from grinder.web.runs import Runs
from grinder.web.settings import WebSettings

Clock = Callable[[], int]


class WebServer:
    """The API of some runs.

    Args:
        folders: of the runs.
        clock: ns since 1970.
        market: where the market overview comes from; by default as the settings say.
        cost: of the passwords' hashes.

    Raises:
        UserError: a folder holds no run, or the settings are careless.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        settings: WebSettings,
        *,
        clock: Clock = time.time_ns,
        market: MarketSource | None = None,
        cost: int = COST,
        routes: tuple[Route, ...] = ROUTES,
    ) -> None:
        self.settings = settings
        self._folders = folders
        store = AccessStore(settings.access_file, clock)
        users = Users(store, cost)
        settings.check(users.count())
        source = market or (CoinGecko() if settings.market else NoMarket())
        self.services = Services(
            settings=settings,
            clock=clock,
            runs=Runs(folders, clock),
            store=store,
            users=users,
            tokens=Tokens(store),
            attempts=Attempts(store),
            audit=Audit(store),
            repeats=Repeats(store),
            signals=Signals(store),
            limits=Limits(clock),
            market=MarketOverview(source, clock),
            metrics=WebMetrics(),
            policy=choose_policy(settings.model),
            routes=routes,
        )
        self._following: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    def application(self) -> web.Application:
        """The application, with the rows of the table as its routes."""
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[frame])
        app[SERVICES] = self.services
        for route in self.services.routes:
            # A HEAD beside every GET would be a route that is not in the table.
            if route.method == "GET":
                app.router.add_get(route.path, gated(route), allow_head=False)
            else:
                app.router.add_route(route.method, route.path, gated(route))
        app.on_response_prepare.append(harden)
        app.on_shutdown.append(_close_sockets)
        return app

    async def start(self) -> str:
        """Serve; the address.

        Raises:
            EnvironmentFault: the port or the certificate cannot be used.
        """
        runs = self.services.runs.by_name.values()
        await asyncio.gather(*(run.look() for run in runs))
        runner = self._runner = web.AppRunner(
            self.application(), access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            context = self._tls()
            await web.TCPSite(
                runner, self.settings.host, self.settings.port, ssl_context=context, backlog=128
            ).start()
        except (OSError, ssl.SSLError) as error:
            await self.stop()
            raise EnvironmentFault(
                "ui.port",
                f"the API cannot be served: {error.strerror or error}",
                value=f"{self.settings.host}:{self.settings.port}",
                fix="choose another --port, or look at the certificate",
            ) from error
        self._following = [
            asyncio.create_task(work(), name=f"{work.__name__} {run.name}")
            for run in runs
            for work in (run.follow, run.watch)
        ]
        address: Any = runner.addresses[0]
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{'https' if self.settings.tls else 'http'}://{host}:{address[1]}"

    def _tls(self) -> ssl.SSLContext | None:
        if self.settings.tls_cert is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.settings.tls_cert, self.settings.tls_key)
        return context

    async def stop(self) -> None:
        """Stop serving."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self.services.market.close()
        for run in self.services.runs.by_name.values():
            await run.close()
        self.services.store.close()


async def _close_sockets(app: web.Application) -> None:
    for socket in list(app[SERVICES].sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")


async def serve(server: WebServer, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        started: called with the address.
    """
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ending.set)
    try:
        started(await server.start())
        await ending.wait()
    finally:
        await server.stop()
