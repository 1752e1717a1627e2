"""What a run shows over HTTP: /metrics, /livez (also /healthz) and /readyz.

Law: it only reads, only on this machine unless told otherwise, and only answers GET.  It runs on the loop of
the run: an answer from it is proof that the loop turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from grinder.errors import EnvironmentFault
from grinder.observation.health import Health, run_checks
from grinder.observation.metrics import CONTENT_TYPE, Metrics

LOOPBACK: Final = "127.0.0.1"


class ObservationServer:
    """Serves the metrics and the health of a run.

    Args:
        alive: whether the run is alive as far as it can tell itself.
        ready: whether it trades, or stands by on purpose.
        port: 0 for any free one.
    """

    def __init__(
        self,
        metrics: Metrics,
        health: Health,
        *,
        alive: Callable[[], bool] = lambda: True,
        ready: Callable[[], bool] = lambda: True,
        host: str = LOOPBACK,
        port: int = 0,
    ) -> None:
        self._metrics = metrics
        self._health = health
        self._alive = alive
        self._ready = ready
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Serve on the running loop; returns the port.

        Raises:
            EnvironmentFault: the port is taken.
        """
        application = web.Application()
        application.router.add_get("/metrics", self._show_metrics)
        application.router.add_get("/livez", self._show_life)
        application.router.add_get("/healthz", self._show_life)
        application.router.add_get("/readyz", self._show_readiness)
        runner = self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
        except OSError as error:
            await self.stop()
            raise EnvironmentFault(
                "observe.port",
                f"the port for metrics cannot be used: {error.strerror}",
                value=f"{self._host}:{self._port}",
                fix="choose another observe.metrics_port, or 0 for none",
            ) from error
        address: Any = runner.addresses[0]
        return int(address[1])

    async def stop(self) -> None:
        """Stop serving."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _show_metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _show_life(self, request: web.Request) -> web.Response:
        alive = self._alive()
        return web.json_response({"alive": alive}, status=200 if alive else 503)

    async def _show_readiness(self, request: web.Request) -> web.Response:
        report = await run_checks(self._health.checks)
        ready = self._ready() and report.healthy
        body = {"ready": ready, **report.as_dict()}
        return web.json_response(body, status=200 if ready else 503)
