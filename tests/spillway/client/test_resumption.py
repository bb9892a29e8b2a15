"""Answers whose router dies: the client gets each token once, from another or from the next."""

import asyncio
import contextlib
import signal
import socket
import sys
import threading

import grpc
import pytest

from serving.fake_engine import FakeEngine, FakeSettings
from serving.standalone import serve_standalone
from spillway import client as sw
from spillway.client import Client, SyncClient
from spillway.client.options import Call
from spillway.client.resumption import Break, Resumption
from spillway.local.relay import Relay
from tests.router.live.conftest import address, engine, pace, route
from tests.router.live.counting import counted_on
from tests.waiting import DEADLINE_S
from wire.vllm import inference_pb2

pytestmark = pytest.mark.usefixtures("patient")

PROGRAM = """
import asyncio, sys
from router.live.router import Router
from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet, Site, SiteKind, SloClass

async def main(port, engines):
    slo = SloClass("chat", ttft_ns=10**10, itl_ns=10**9)
    fleet = Fleet((Site("home", SiteKind.HOME),), (slo,), "chat")
    settings = RouterSettings(listen=f"127.0.0.1:{port}", metrics_listen=None)
    router = Router(fleet, [SiteAccess("home", endpoints=tuple(engines))], settings)
    await router.start()
    while not router._serves():
        await asyncio.sleep(0.01)
    print("up", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], sys.argv[2:]))
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextlib.asynccontextmanager
async def router_process(port, *engines):
    """A router in a process of its own."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(port), *engines, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await asyncio.wait_for(child.stdout.readline(), DEADLINE_S) == b"up\n"
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def local(routed):
    return f"127.0.0.1:{routed.router.port}"


async def test_a_stream_outlives_its_router():
    """Killed, it says nothing any more; the one that is started in its place goes on."""
    port = free_port()
    async with engine(itl_s=0.05) as server, Client(f"127.0.0.1:{port}") as client:
        text, resumed_by = "", None
        async with contextlib.AsyncExitStack() as stack:
            router = await stack.enter_async_context(router_process(port, address(server)))
            stream = client.stream("7", max_new_tokens=400)
            async for chunk in stream:
                text += chunk.text
                if resumed_by is None and len(text) > 5:
                    pace(server, itl_s=0)
                    router.send_signal(signal.SIGKILL)
                    resumed_by = router_process(port, address(server))
                    await stack.enter_async_context(resumed_by)
        assert text == counted_on("7", 400)
        assert chunk.finish.num_output_tokens == 400
        assert chunk.token_ids == ()
        assert stream.ending.resumed == 1


def test_a_wait_for_the_rest_is_told(caplog):
    """Once, when going on at once did not help; who waits is to know for what and how long."""
    request = inference_pb2.GenerateRequest(text="7")
    request.stopping.max_new_tokens = 10
    resumption = Resumption(Call(request, (), 60.0), resume_s=30.0)
    resumption.begin()
    first = inference_pb2.GenerateResponse()
    first.prompt_info.token_ids.append(7)
    first.outputs.token_ids.append(8)
    resumption.take(first)
    broke = Break(
        grpc.StatusCode.UNAVAILABLE, has_token=False, refused=False, said_so=False, direct=False
    )
    assert resumption.pause_s(broke, 1, 0.0) == 0.0
    assert not caplog.messages
    assert resumption.pause_s(broke, 1, 0.1) > 0.0
    assert resumption.pause_s(broke, 1, 0.2) > 0.0
    told = "the answer broke off (UNAVAILABLE); asking for the rest for up to 30 s"
    assert caplog.messages == [told]


async def test_another_address_goes_on_at_once():
    """No router has to come back where there is a second one."""
    async with (
        engine(itl_s=0.05) as server,
        route({"home": [address(server)]}) as one,
        route({"home": [address(server)]}) as two,
        Client([local(one), local(two)]) as client,
    ):
        chunks = []
        stream = client.stream("7", max_new_tokens=300, output_token_ids=True)
        async for chunk in stream:
            chunks.append(chunk)
            if len(chunks) == 5:
                pace(server, itl_s=0)
                stopping = asyncio.create_task(one.router.stop(0.0))
        await stopping
        assert "".join(chunk.text for chunk in chunks) == counted_on("7", 300)
        ids = [token for chunk in chunks for token in chunk.token_ids]
        assert bytes(ids).decode() == counted_on("7", 300)
        assert [chunk.prompt is not None for chunk in chunks].count(True) == 1
        assert stream.ending.resumed == 1
        assert client.address == local(two)


async def test_a_request_goes_to_the_address_that_answers():
    """Nobody is at the first one."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        async with Client(["127.0.0.1:1", local(routed)]) as client:
            assert (await client.generate("7", max_new_tokens=5)).text == counted_on("7", 5)
        async with Client(["127.0.0.1:1", "127.0.0.1:2"]) as client:
            with pytest.raises(sw.UnavailableError):
                await client.generate("7", max_new_tokens=5)


async def test_an_answer_never_goes_on_at_another_model():
    """The router that takes its router's place has other weights: the error says so."""
    async with (
        engine(itl_s=0.05) as server,
        engine(itl_s=0, weights="others") as others,
        route({"home": [address(server)]}) as one,
        route({"home": [address(others)]}) as two,
        Relay(local(one)) as relay,
        Client(relay.address, resume_s=0.3) as client,
    ):
        stream = client.stream("7", max_new_tokens=300)
        text = (await anext(stream)).text
        relay.target = local(two)
        relay.reset()
        with pytest.raises(sw.UnavailableError, match="unable to go on with this stream"):
            text += "".join([chunk.text async for chunk in stream])
        assert counted_on("7", 300).startswith(text)


async def test_resuming_can_be_declined():
    """Then a broken answer is an error at once."""
    async with (
        engine(itl_s=0.05) as server,
        route({"home": [address(server)]}) as routed,
        Client(local(routed), resume_s=0) as client,
    ):
        stream = client.stream("7", max_new_tokens=300)
        await anext(stream)
        await routed.router.stop(0.0)
        with pytest.raises(sw.SpillwayError):
            [chunk async for chunk in stream]


def test_the_synchronous_client_goes_on_too():
    """In a thread of its own, with the routers in another."""
    ready, stop_first, done = threading.Event(), threading.Event(), threading.Event()
    addresses = []

    async def serve():
        server = await serve_standalone(FakeEngine(FakeSettings(itl_s=0.05)))
        try:
            where = {"home": [address(server)]}
            async with route(where) as one, route(where) as two:
                addresses.extend((local(one), local(two)))
                ready.set()
                await asyncio.to_thread(stop_first.wait, DEADLINE_S)
                pace(server, itl_s=0)
                await one.router.stop(0.0)
                await asyncio.to_thread(done.wait, DEADLINE_S)
        finally:
            await server.stop()

    routers = threading.Thread(target=asyncio.run, args=(serve(),))
    routers.start()
    try:
        assert ready.wait(DEADLINE_S)
        with SyncClient(addresses) as client, client.stream("7", max_new_tokens=300) as stream:
            text = ""
            for chunk in stream:
                text += chunk.text
                stop_first.set()
        assert text == counted_on("7", 300)
        assert chunk.finish.num_output_tokens == 300
        assert stream.ending.resumed == 1
    finally:
        stop_first.set()
        done.set()
        routers.join(DEADLINE_S)
