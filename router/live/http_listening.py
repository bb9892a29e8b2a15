"""How the HTTP servers of a router begin to listen."""

import asyncio
import errno
import os
import socket
import ssl
from typing import Any, Final

from aiohttp import web

from router.live.address import split_address
from router.live.bounded_socket import BoundedSocket
from router.live.settings import ConnectionLimits

_BACKLOG: Final = 128  # connections that wait for this process; what asyncio has

_NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
"""Of localhost's IPv6 address, where a machine or a container has none."""


async def listen_at(
    runner: web.AppRunner,
    listen: str,
    limits: ConnectionLimits,
    *,
    shares_port: bool = False,
    context: ssl.SSLContext | None = None,
) -> int:
    """Begins to listen on host:port and returns the port; `shares_port` lets others listen, too.

    Without `context` it speaks plaintext.

    Raises OSError, which names the address and why, where it cannot be had.
    """
    host, port = split_address(listen)
    await runner.setup()
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        lacking: OSError | None = None
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            try:
                bound = _bound(family, (address[0], port, *address[2:]), limits, shares_port)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                lacking = error
                continue
            port = bound.getsockname()[1]
            await _Site(runner, bound, context, limits.handshake_timeout_s).start()
        if lacking is not None and not runner.sites:
            raise lacking
    except OSError as error:
        # What asyncio says has Python's own words in it; a name's error is no number of the system.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or error
        raise OSError(f"cannot listen on {listen}: {reason}") from error
    return port


class _Site(web.SockSite):
    """One that waits for handshakes as long as it is told to, and not for a minute."""

    def __init__(
        self,
        runner: web.AppRunner,
        sock: socket.socket,
        context: ssl.SSLContext | None,
        handshake_timeout_s: float,
    ) -> None:
        super().__init__(runner, sock, ssl_context=context, backlog=_BACKLOG)
        self._handshake_timeout_s = handshake_timeout_s if context else None

    async def start(self) -> None:
        """See web.SockSite."""
        await web.BaseSite.start(self)
        server: Any = self._runner.server
        self._server = await asyncio.get_running_loop().create_server(
            server,
            sock=self._sock,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=self._handshake_timeout_s,
        )


def _bound(
    family: int, address: tuple[Any, ...], limits: ConnectionLimits, shares_port: bool
) -> BoundedSocket:
    """A socket at an address that getaddrinfo found. Raises OSError."""
    made = BoundedSocket(family, limits.max, limits.of_address_max)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made
