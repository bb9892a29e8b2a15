"""How the HTTP servers of a router begin to listen."""

import os
import ssl

from aiohttp import web

from router.live.address import split_address


async def listen_at(
    runner: web.AppRunner,
    listen: str,
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
        shared = shares_port or None
        site = web.TCPSite(runner, host, port, reuse_port=shared, ssl_context=context)
        await site.start()
    except OSError as error:
        # What asyncio says has Python's own words in it; a name's error is no number of the system.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or error
        raise OSError(f"cannot listen on {listen}: {reason}") from error
    bound: int = runner.addresses[0][1]
    return bound
