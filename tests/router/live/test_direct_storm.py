"""Clients of every kind take leases at once; when they are gone, nothing of them is left."""

import asyncio
import random
import secrets

import grpc
import pytest

from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_door import LeaseTerms
from serving.standalone import serve_standalone
from spillway.client import Client, SpillwayError
from tests.router.live.conftest import CLOUD, HOME, address, ask, fleet_of, route, until
from tests.router.live.counting import counted_on
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY
from wire.vllm import inference_pb2_grpc

KEY = secrets.token_hex(16)
CLIENTS, ROUNDS = 16, 6


class Storm:
    """A router, its engines, and what clients do to them."""

    def __init__(self, routed, rng):
        self.routed = routed
        self.rng = rng
        self.at = f"127.0.0.1:{routed.router.port}"

    async def place(self, tokens):
        request = ask("41", tokens)
        placement = await self.routed.fleet.Place(pb.PlaceRequest(request=request))
        request.request_id = placement.request_id
        return placement, request

    async def honest(self):
        """Whatever happens around it, an honest client gets its answer, token by token."""
        tokens = self.rng.randint(1, 80)
        async with Client(self.at, direct=True) as client:
            answer = await client.generate("41", max_new_tokens=tokens)
            assert answer.text == counted_on("41", tokens)

    async def leaving(self):
        """It reads a little, and goes."""
        async with Client(self.at, direct=True) as client:
            stream = client.stream("41", max_new_tokens=500)
            for _ in range(self.rng.randint(0, 3)):
                await anext(stream)

    async def idle(self):
        """It never uses what it asked for."""
        await self.place(10)

    async def replaying(self):
        """The same lease, several at once and one after the other."""
        placement, request = await self.place(5)
        if not placement.address:
            return
        async with grpc.aio.insecure_channel(placement.address) as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)

            async def use():
                call = stub.GenerateStream(request, metadata=((LEASE_KEY, placement.lease),))
                return [message async for message in call]

            await asyncio.gather(use(), use(), use(), return_exceptions=True)
            await use()

    async def lying(self):
        """It streams, and says the worst of it meanwhile."""
        placement, request = await self.place(40)
        if not placement.address:
            return
        async with grpc.aio.insecure_channel(placement.address) as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)
            call = stub.GenerateStream(request, metadata=((LEASE_KEY, placement.lease),))
            await call.read()
            for end in (pb.LeaseClaim.BROKE_OFF, pb.LeaseClaim.UNREACHABLE):
                claim = pb.LeaseClaim(lease=placement.lease, end=end, output_tokens=1 << 30)
                await self.routed.fleet.Report(pb.ReportRequest(claims=[claim]))
            while await call.read() is not grpc.aio.EOF:
                pass

    async def torn(self):
        """It comes back with a lease whose stream goes on, and has the router end that."""
        placement, request = await self.place(200)
        if not placement.address:
            return
        async with grpc.aio.insecure_channel(placement.address) as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)
            call = stub.GenerateStream(request, metadata=((LEASE_KEY, placement.lease),))
            await call.read()
            back = ((LEASE_KEY, placement.lease), (LEASE_END_KEY, "BROKE_OFF"))
            assert await self.routed.stream(ask("7", 3), metadata=back)
            async with asyncio.timeout(5):  # the endpoint has been told to end it
                while await call.read() is not grpc.aio.EOF:
                    pass

    async def misbehave(self):
        kinds = (self.honest, self.leaving, self.idle, self.replaying, self.lying, self.torn)
        for _ in range(ROUNDS):
            try:
                await self.rng.choice(kinds)()
            except SpillwayError as error:
                pytest.fail(f"an honest client got {error!r}")


async def test_no_client_leaves_anything_behind_or_takes_anything_from_another(monkeypatch):
    """Counts are at zero, breakers closed, and all that was made is on somebody's account."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    monkeypatch.setattr("router.policy.leases._GRACE_NS", 500_000_000)
    rng = random.Random(7)
    terms = LeaseTerms((KEY.encode(),), required=True)
    servers = [
        await serve_standalone(FakeEngine(FakeSettings(itl_s=0.002), ("fake",)), terms=terms)
        for _ in range(2)
    ]
    sites = {name: [address(one)] for name, one in zip(("home", "cloud"), servers, strict=True)}
    fleet = fleet_of(HOME, CLOUD, lease_life_ns=200_000_000)
    try:
        async with route(sites, fleet=fleet) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            storm = Storm(routed, rng)
            await asyncio.gather(*(storm.misbehave() for _ in range(CLIENTS)))
            core = routed.router._core
            await until(lambda: core.snapshot().open_streams == 0, within_s=8.0)
            snapshot = core.snapshot()
            assert snapshot.leases.open == 0
            assert [site.failures for site in snapshot.sites] == [0, 0]
            assert all(server.replica.in_flight == 0 for server in servers)
            made = sum(server.replica.engine.load().generated_tokens for server in servers)
            charged = sum(site.output_tokens for site in snapshot.sites)
            assert 0.9 * made <= charged <= made  # what an engine made after a cancel is nobody's
    finally:
        for server in servers:
            await server.stop()
