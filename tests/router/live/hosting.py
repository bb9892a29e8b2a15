"""The workers of a router and their receiver, all in this process."""

import contextlib

import grpc

from router.live.host_receiver import Receiver
from router.live.router import Router
from router.live.settings import SiteAccess, Worker
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, Routed, fleet_of


@contextlib.asynccontextmanager
async def received(folder, addresses, settings=SETTINGS, fleet=None):
    """A receiver, and where its workers find it."""
    where = f"unix:{folder / 'receiver'}"
    access = [SiteAccess("home", endpoints=tuple(addresses), link=False)]
    receiver = Receiver(access, settings, where, fleet)
    await receiver.start()
    try:
        yield receiver, where
    finally:
        await receiver.stop()


@contextlib.asynccontextmanager
async def workers(where, count=2, endpoints=1, settings=SETTINGS, fleet=None):
    """Workers of one router, each on a port of its own so that a test can choose."""
    access = [SiteAccess("home", link=False)]
    async with contextlib.AsyncExitStack() as opened:
        routed = []
        for number in range(count):
            router = Router(fleet or fleet_of(HOME, CLOUD), access, settings, Worker(number, where))
            await router.start()
            opened.push_async_callback(router.stop, 0.0)
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{router.port}")
            routed.append(Routed(router, await opened.enter_async_context(channel)))
        for one in routed:
            await one.until_up(endpoints)
        yield routed
