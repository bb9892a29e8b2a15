"""The HTTP port of a router for whoever keeps it running: a kubelet, a load balancer, a script.

It tells one word, takes none, and lets nobody in: so it speaks plaintext even where the other
ports ask for a certificate, which a kubelet does not have.
"""

from collections.abc import Callable
from typing import Final

from aiohttp import web

from router.live.http_listening import listen_at
from router.live.http_log import http_log
from router.live.settings import ConnectionLimits

_log: Final = http_log(__name__)


class HealthServer:
    """GET /livez: 200 while the process answers. /readyz: 200 while it serves, else 503.

    What is not live has to be started again; what is not ready has to be left alone: a router that
    drains, or whose sites are all away, is as live as ever.
    """

    def __init__(self, serves: Callable[[], bool], limits: ConnectionLimits) -> None:
        self._serves = serves
        self._limits = limits
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        self._runner = web.AppRunner(
            app, access_log=None, logger=_log, keepalive_timeout=limits.http_idle_timeout_s
        )

    async def start(self, listen: str) -> int:
        """Listens on host:port and returns the port. Raises OSError where that is taken."""
        return await listen_at(self._runner, listen, self._limits)

    async def stop(self) -> None:
        """Closes."""
        await self._runner.cleanup()

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="live\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self._serves():
            return web.Response(text="ready\n")
        return web.Response(text="not ready\n", status=503)
