"""Clients stream from endpoints through the door of their site: a real HAProxy before engines."""

import asyncio
import contextlib
import resource
import signal
import socket

import grpc
import pytest

from router.live.settings import SiteAccess
from serving.lease_door import LeaseTerms
from spillway.door import haproxy
from spillway.door.configuration import CONNECTIONS_MAX
from spillway.door.haproxy import DoorError, HaProxy, connections_within, find_program
from tests.router.live.conftest import address, ask, at_rest
from tests.router.live.counting import counted_on
from tests.spillway.client.direct_sites import client_of, engine, taking_leases
from tests.waiting import until_told
from wire.spillway.v1 import fleet_pb2
from wire.spillway.v1.load_pb2 import WatchLoadRequest
from wire.spillway.v1.load_pb2_grpc import LoadStub
from wire.vllm.inference_pb2_grpc import InferenceStub

pytestmark = pytest.mark.usefixtures("keys", "patient")


@contextlib.contextmanager
def reserved():
    """A host:port that nobody else can have: nothing answers there until a door does.

    HAProxy sets SO_REUSEPORT by itself, and so may listen beside the socket that holds the port.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


@contextlib.asynccontextmanager
async def door(folder, *endpoints):
    """A door, once it takes connections; and where."""
    with reserved() as listen:
        proxy = HaProxy(find_program(), listen, folder)
        await proxy.start(endpoints)
        try:
            await until_it_takes(listen)
            yield proxy, listen
        finally:
            await proxy.stop(0.0)


async def until_it_takes(listen):
    host, _, port = listen.rpartition(":")

    async def taken():
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            return True

    await until_told(taken)


def through(listen, name):
    """A channel through the door to the endpoint of this name."""
    options = (("grpc.default_authority", name), ("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.insecure_channel(listen, options=options)


async def test_a_lease_is_used_through_the_door(tmp_path):
    """The client knows one address; each stream reaches the endpoint that its lease is for."""
    async with (
        engine(itl_s=0.002) as one,
        engine(itl_s=0.002) as two,
        door(tmp_path, address(one), address(two)) as (_, listen),
    ):
        ways = {
            "home": SiteAccess("home", endpoints=(address(one),), door=listen),
            "cloud": SiteAccess("cloud", endpoints=(address(two),), door=listen),
        }
        async with taking_leases(ways) as routed, client_of(routed) as client:
            first = await client.generate("7", max_new_tokens=40)
            await routed.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
            second = await client.generate("41", max_new_tokens=40)
            assert (first.text, second.text) == (counted_on("7", 40), counted_on("41", 40))
            assert (first.ending.site, second.ending.site) == ("home", "cloud")
            await at_rest(routed)
            assert routed.router._inference._count == 0  # nothing went through the router
        served = [server.replica.engine.load().generated_tokens for server in (one, two)]
        assert served == [40, 40]


async def test_an_endpoint_that_dies_behind_the_door_costs_a_way_back(tmp_path):
    """The door stands; what it cannot reach goes on through the router, and so does what broke."""
    async with (
        engine(itl_s=0.02) as one,
        engine(itl_s=0.002) as two,
        door(tmp_path, address(one)) as (_, listen),
    ):
        home = SiteAccess("home", endpoints=(address(one),), door=listen)
        cloud = SiteAccess("cloud", endpoints=(address(two),), direct=False)
        async with (
            taking_leases({"home": home, "cloud": cloud}) as routed,
            client_of(routed) as client,
            client.stream("7", max_new_tokens=60) as stream,
        ):
            text = (await anext(stream)).text
            await one.stop()
            text += "".join([chunk.text async for chunk in stream])
            assert text == counted_on("7", 60)
            assert stream.ending.resumed == 1


async def test_endpoints_come_and_go_behind_an_open_door(tmp_path):
    """A stream that was open before goes on; who is listed anew is reached."""
    async with (
        engine(itl_s=0.02, terms=LeaseTerms()) as one,
        engine(itl_s=0, terms=LeaseTerms()) as two,
        door(tmp_path, address(one)) as (proxy, listen),
        through(listen, address(one)) as first,
        through(listen, address(two)) as second,
    ):
        call = InferenceStub(first).GenerateStream(ask("7", 60))
        text = (await call.read()).outputs.text
        await proxy.change([address(two)])

        async def reached():
            answer = InferenceStub(second).GenerateStream(ask("41", 3))
            with contextlib.suppress(grpc.aio.AioRpcError):
                told = "".join([m.outputs.text async for m in answer])
                return told == counted_on("41", 3)

        await until_told(reached)
        while (message := await call.read()) is not grpc.aio.EOF:
            text += message.outputs.text
        assert text == counted_on("7", 60)


async def test_nothing_but_what_a_client_needs_goes_through(tmp_path):
    """No other method, and no other host than the site's endpoints."""
    async with (
        engine(terms=LeaseTerms()) as one,
        engine(terms=LeaseTerms()) as elsewhere,
        door(tmp_path, address(one)) as (_, listen),
        through(listen, address(one)) as known,
        through(listen, address(elsewhere)) as unknown,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as watched:
            await LoadStub(known).Watch(WatchLoadRequest()).read()
        assert watched.value.code() is grpc.StatusCode.PERMISSION_DENIED
        with pytest.raises(grpc.aio.AioRpcError) as asked:
            await InferenceStub(unknown).GenerateStream(ask("7", 3)).read()
        assert asked.value.code() is grpc.StatusCode.UNAVAILABLE
        assert asked.value.details() == "no endpoint of this name is behind this door"


async def test_an_endpoint_that_is_gone_is_unavailable(tmp_path):
    """As it would be without the door."""
    with reserved() as gone:
        async with door(tmp_path, gone) as (_, listen), through(listen, gone) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as asked:
                await InferenceStub(channel).GenerateStream(ask("7", 3)).read()
            assert asked.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_haproxy_that_does_not_hear_is_ended_all_the_same(tmp_path, monkeypatch):
    """With its worker, so that nobody listens there any more."""
    monkeypatch.setattr(haproxy, "_STOP_S", 0.2)
    async with door(tmp_path) as (proxy, listen):
        proxy._send(signal.SIGSTOP)
        await proxy.stop(0.0)
        host, _, port = listen.rpartition(":")

        async def refused():
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                return True
            writer.close()
            return False

        await until_told(refused)


def test_the_machines_haproxy_is_taken_where_none_is_bundled(tmp_path, monkeypatch):
    """It may be older than what the configuration needs; one that is given comes before both."""
    machines = tmp_path / "haproxy"
    machines.write_text("#!/bin/sh\n")
    machines.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(haproxy, "bundled_program", lambda: "/bundled")
    assert find_program() == "/bundled"
    assert find_program(str(machines)) == str(machines)
    monkeypatch.setattr(haproxy, "bundled_program", lambda: None)
    assert find_program() == str(machines)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(DoorError, match=r"install HAProxy 2\.8 or later"):
        find_program()


def test_a_door_holds_as_many_clients_as_files_may_be_open_for():
    """Two for each, and what HAProxy needs for itself; a limit that is no limit is none."""
    assert connections_within(1_024) == 384
    assert connections_within(resource.RLIM_INFINITY) == connections_within(1 << 20)
    assert connections_within(1 << 20) == CONNECTIONS_MAX
    with pytest.raises(DoorError, match="a door needs 320 open files"):
        connections_within(319)


async def test_a_bad_address_does_not_keep_the_door_shut(tmp_path):
    """A port that cannot be, names that cannot be, and one that nobody knows."""
    bad = ("127.0.0.1:99999", "127.0.0.1:0", "a..b:80", "nowhere.invalid:80")
    async with door(tmp_path, *bad):
        pass


async def test_a_door_that_cannot_be_says_why(tmp_path):
    """An address that is none, and a program that is not there."""
    with pytest.raises(DoorError, match="haproxy takes no such configuration"):
        await HaProxy(find_program(), "nowhere at all", tmp_path).start([])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DoorError, match="haproxy ended at once"):
            await HaProxy(find_program(), listen, tmp_path).start([])
    with pytest.raises(DoorError, match="/nonexistent is no program"):
        find_program("/nonexistent")
