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
from tests.router.live.conftest import CLOUD, HOME, address, ask, at_rest, fleet_of, route
from tests.router.live.counting import counted_on
from tests.router.live.scripted import drained
from tests.waiting import DEADLINE_S, until
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
        self.read = 0  # tokens that clients have got

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
            self.read += tokens

    async def leaving(self):
        """It reads a little, and goes."""
        async with Client(self.at, direct=True) as client:
            stream = client.stream("41", max_new_tokens=500)
            for _ in range(self.rng.randint(0, 3)):
                chunk = await anext(stream, None)
                self.read += len(chunk.text) if chunk is not None else 0

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
                async for message in call:
                    self.got(message)

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
            self.got(await call.read())
            for end in (pb.LeaseClaim.BROKE_OFF, pb.LeaseClaim.UNREACHABLE):
                claim = pb.LeaseClaim(lease=placement.lease, end=end, output_tokens=1 << 30)
                await self.routed.fleet.Report(pb.ReportRequest(claims=[claim]))
            async for message in drained(call):
                self.got(message)

    async def torn(self):
        """It comes back with a lease whose stream goes on, and has the router end that."""
        placement, request = await self.place(200)
        if not placement.address:
            return
        async with grpc.aio.insecure_channel(placement.address) as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)
            call = stub.GenerateStream(request, metadata=((LEASE_KEY, placement.lease),))
            self.got(await call.read())
            back = ((LEASE_KEY, placement.lease), (LEASE_END_KEY, "BROKE_OFF"))
            for message in await self.routed.stream(ask("7", 3), metadata=back):
                self.got(message)
            async with asyncio.timeout(DEADLINE_S):  # the endpoint has been told to end it
                async for message in drained(call):
                    self.got(message)

    def got(self, message):
        """A client of no honest kind has this message."""
        self.read += message.outputs.num_tokens

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
    fleet = fleet_of(HOME, CLOUD, lease_life_ns=2_000_000_000)
    try:
        async with route(sites, fleet=fleet) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            storm = Storm(routed, rng)
            await asyncio.gather(*(storm.misbehave() for _ in range(CLIENTS)))
            await at_rest(routed, *servers)
            snapshot = routed.router._core.snapshot()
            assert [site.failures for site in snapshot.sites] == [0, 0]
            made = sum(server.replica.engine.load().generated_tokens for server in servers)
            charged = sum(site.output_tokens for site in snapshot.sites)
            assert storm.read <= charged <= made  # what an engine made after a cancel is nobody's
    finally:
        for server in servers:
            await server.stop()
