"""Endpoints that fall silent under a client that streams from them itself."""

import asyncio

import pytest

from spillway.client import SyncClient
from tests.router.live.conftest import at_rest, pace
from tests.router.live.counting import counted_on
from tests.spillway.client.direct_sites import client_of, two_sites

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture
def impatient(monkeypatch):
    """Clients that believe an endpoint for half a second, or four times their patience."""
    monkeypatch.setattr("spillway.client.silence.BELIEVED_S", 0.5)


async def test_an_endpoint_that_falls_silent_is_left_for_another(impatient):
    """The engine hangs, its server answers: the rest comes from elsewhere, each token once."""
    async with two_sites(itl_s=0.05) as (one, two, r), client_of(r) as client:
        pace(two, itl_s=0)
        text, stream, hung = "", client.stream("41", max_new_tokens=150), False
        async for chunk in stream:
            text += chunk.text
            if len(text) > 5 and not hung:
                hung = True
                hang(one)
        assert text == counted_on("41", 150)
        assert stream.ending.resumed == 1
        await at_rest(r, one, two)


def die(server):
    """Kills the engine."""
    server.replica.engine.die()


def hang(server):
    """Has the engine give nothing more to what runs there, until it is aborted."""
    for run in server.replica.engine._running.values():

        async def pause(until_s, run=run):
            while not run.aborted:
                await type(run).pause(run, None)

        run.pause = pause


async def test_the_synchronous_client_goes_directly_too(impatient):
    """And comes back when its endpoint dies, or falls silent."""
    async with two_sites(itl_s=0.005) as (one, two, r):

        def strike(end):
            """Where the stream runs; the rest of it comes at once."""
            struck, other = (one, two) if one.replica.in_flight else (two, one)
            pace(other, itl_s=0)
            end(struck)

        def read(at_five):
            text = ""
            with SyncClient(f"127.0.0.1:{r.router.port}", direct=True) as client:
                stream = client.stream("41", max_new_tokens=150)
                for chunk in stream:
                    text += chunk.text
                    if len(text) > 5 and at_five:
                        loop.call_soon_threadsafe(at_five.pop())
            return text, stream.ending.resumed

        loop = asyncio.get_running_loop()
        whole = counted_on("41", 150)
        assert await asyncio.to_thread(read, []) == (whole, 0)
        assert r.router._inference.open_calls == 0
        for end in (hang, die):
            pace(one, two, itl_s=0.05)
            busy = [lambda end=end: strike(end)]
            assert await asyncio.to_thread(read, busy) == (whole, 1)
        await at_rest(r, one, two)
