"""How the HTTP servers of a router begin to listen."""

import asyncio
import errno
import socket

import pytest
from aiohttp import web

from router.live import http_listening
from router.live.http_listening import listen_at
from router.live.settings import ConnectionLimits


@pytest.fixture
async def runner():
    """A server that listens nowhere yet."""
    made = web.AppRunner(web.Application())
    yield made
    await made.cleanup()


def localhost(*families):
    """A resolver that finds these addresses."""

    async def resolved(_host, port, **_how):
        hosts = {socket.AF_INET6: ("::1", port, 0, 0), socket.AF_INET: ("127.0.0.1", port)}
        return [(one, socket.SOCK_STREAM, 0, "", hosts[one]) for one in families]

    return resolved


@pytest.mark.parametrize("number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
async def test_a_machine_without_ipv6_listens_at_localhost_all_the_same(
    monkeypatch, runner, number
):
    """Its name is that of two addresses in many containers, of which they have one."""
    bound = http_listening._bound

    def bound_here(family, *more):
        if family == socket.AF_INET6:
            raise OSError(number, "not here")
        return bound(family, *more)

    monkeypatch.setattr(http_listening, "_bound", bound_here)
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", localhost(socket.AF_INET6, socket.AF_INET))
    port = await listen_at(runner, "localhost:0", ConnectionLimits())
    assert runner.addresses == [("127.0.0.1", port)]


async def test_an_address_that_this_machine_does_not_have_is_told(monkeypatch, runner):
    """Where there is no other to listen at."""

    def nowhere(*_):
        raise OSError(errno.EADDRNOTAVAIL, "not here")

    monkeypatch.setattr(http_listening, "_bound", nowhere)
    with pytest.raises(OSError, match=r"cannot listen on 127\.0\.0\.1:0: Cannot assign requested"):
        await listen_at(runner, "127.0.0.1:0", ConnectionLimits())
