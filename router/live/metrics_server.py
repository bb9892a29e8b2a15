"""The HTTP server of a router for those who watch it: metrics, a health check, the fleet page."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import grpc
from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from router.live.callers import AUTHORIZATION, Callers
from router.live.hosts import host_check
from router.live.http_listening import listen_at
from router.live.http_log import http_log
from router.live.settings import RouterSettings
from router.live.tls import ServerTls
from wire.status import CallError

_log: Final = http_log(__name__)


class OfTenant(Collector):
    """Of all metrics, the series that are about one tenant."""

    def __init__(self, registry: Collector, tenant: str) -> None:
        self._registry = registry
        self._tenant = tenant

    def collect(self) -> Iterator[Metric]:
        """See Collector."""
        for metric in self._registry.collect():
            own = [one for one in metric.samples if one.labels.get("tenant") == self._tenant]
            if own:
                shown = Metric(metric.name, metric.documentation, metric.type, metric.unit)
                shown.samples = own
                yield shown


class MetricsServer:
    """GET /metrics, and /healthz: 200 while the router serves, 503 while it does not."""

    def __init__(
        self,
        registry: Callable[[], Awaitable[Collector]],
        serves: Callable[[], bool],
        callers: Callers,
        settings: RouterSettings,
        tls: ServerTls | None = None,
        add_more: Callable[[web.Application], None] | None = None,
    ) -> None:
        """`registry` is asked for what there is to show, at each scrape.

        Where callers prove who they are, an operator is shown all, and a tenant what is its own.
        Without `tls` it speaks plaintext. `add_more` adds what else is served there.
        """
        self._callers = callers
        self._registry = registry
        self._serves = serves
        self._context = tls.http_context() if tls else None
        self._limits = settings.connections
        own_names = host_check(settings.metrics_listen, settings, callers)
        app = web.Application(middlewares=(*(tls.middlewares if tls else ()), *own_names))
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        if add_more is not None:
            add_more(app)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_log,
            auto_decompress=False,  # nobody who asks here has a reason to
            keepalive_timeout=self._limits.http_idle_timeout_s,
        )

    async def start(self, listen: str) -> int:
        """Listens on host:port and returns the port. Raises OSError where that is taken."""
        return await listen_at(self._runner, listen, self._limits, context=self._context)

    async def stop(self) -> None:
        """Closes."""
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        shown = request.headers.getall(AUTHORIZATION, ())
        try:
            caller = await self._callers.newcomer([(AUTHORIZATION, value) for value in shown])
        except CallError as error:
            known = error.code is grpc.StatusCode.PERMISSION_DENIED
            return web.Response(text=f"{error.message}\n", status=403 if known else 401)
        registry = await self._registry()
        if not caller.sees_all:
            registry = OfTenant(registry, caller.tenant)
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    async def _healthz(self, _request: web.Request) -> web.Response:
        if self._serves():
            return web.Response(text="serving\n")
        return web.Response(text="not serving\n", status=503)
