"""For which names the HTTP ports of a router are asked, where nobody has to prove anything.

A router on the loopback interface serves whoever is on the machine, and so a browser there. A page
of any name can have its name resolve to this machine, and is then of the router's own origin (DNS
rebinding): it could read the fleet's state, and ask for answers. So a router that nobody needs a
key for answers on loopback only to names of this machine, and to those in `router.hosts`.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from router.live.address import split_address
from router.live.callers import Callers
from router.live.settings import RouterSettings
from wire.tls.plaintext import is_loopback

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def host_check(listen: str | None, settings: RouterSettings, callers: Callers) -> tuple[Any, ...]:
    """The middleware of an HTTP port that keeps other names away; none where it is not needed."""
    if callers.required or settings.tls.accept:
        return ()
    if listen is None or not is_loopback(split_address(listen)[0]):
        return ()
    known = frozenset(name.lower() for name in settings.hosts)

    @web.middleware
    async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = _host_of(request)
        if not (is_loopback(host) or host in known):
            raise web.HTTPMisdirectedRequest(
                text="this is no name of this router: list it under router.hosts, if it is\n"
            )
        return await handler(request)

    return (judge,)


def _host_of(request: web.Request) -> str:
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return ""
