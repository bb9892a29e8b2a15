"""Engines that take leases, a router before them, and clients that go there themselves."""

import contextlib
import secrets

from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_door import LeaseTerms
from serving.listening import Listening
from serving.standalone import serve_standalone
from spillway.client import Client
from tests.router.live.conftest import address, route
from tests.waiting import until

KEY = secrets.token_hex(16)
TERMS = LeaseTerms((KEY.encode(),), required=True)


@contextlib.asynccontextmanager
async def engine(port=0, terms=TERMS, requests_max=64, **settings):
    """An engine that lets in who has a lease, or a router's pass."""
    fake = FakeEngine(FakeSettings(**settings), ("fake",))
    server = await serve_standalone(
        fake, listening=Listening(port=port), requests_max=requests_max, terms=terms
    )
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def taking_leases(addresses, **kwargs):
    """A router whose endpoints have said that they take leases."""
    async with route(addresses, **kwargs) as routed:
        await until(lambda: all(e.takes_leases for e in routed.router._roster))
        yield routed


@contextlib.asynccontextmanager
async def two_sites(**settings):
    """An engine at each of two sites, and a router."""
    async with (
        engine(**settings) as one,
        engine(**settings) as two,
        taking_leases({"home": [address(one)], "cloud": [address(two)]}) as routed,
    ):
        yield one, two, routed


def client_of(routed, **kwargs):
    """A client that goes to the endpoints itself."""
    return Client(f"127.0.0.1:{routed.router.port}", direct=True, **kwargs)
