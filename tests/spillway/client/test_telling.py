"""What the asynchronous client tells its router of leases."""

import asyncio

import grpc.aio
import pytest

from spillway.client.connections import Connections
from spillway.client.telling import CLAIMS_MAX, Telling
from wire.spillway.v1.fleet_pb2 import LeaseClaim

CLAIM = LeaseClaim(lease="signed", end=LeaseClaim.COMPLETE, messages=3)


@pytest.fixture
async def connections(router):
    found = Connections(grpc.aio.insecure_channel, router.address, 1)
    yield found
    for channel in found.close():
        await channel.close()


async def test_a_client_that_closes_has_told_the_router_all(router, connections):
    """What waits to be told together is told at once."""
    telling = Telling(connections)
    for _ in range(3):
        telling.tell(CLAIM, asyncio.get_running_loop())
    await telling.close()
    assert router.claims == [CLAIM] * 3


async def test_claims_that_wait_are_bounded(router, connections):
    """However many streams end at once."""
    telling = Telling(connections)
    for _ in range(CLAIMS_MAX + 9):
        telling.tell(CLAIM, asyncio.get_running_loop())
    await telling.close()
    assert router.claims == [CLAIM] * CLAIMS_MAX


async def test_a_stream_that_outlives_its_client_opens_no_connection(connections):
    """Nobody would close it."""
    telling = Telling(connections)
    await telling.close()
    telling.tell(CLAIM, asyncio.get_running_loop())
    await telling.close()
    assert len(connections) == 0
