"""Direct mode through Ray Serve's own ports: a local fleet makes its keys, and requires leases."""

import os
import signal
from collections.abc import Iterator

import grpc
import pytest

from serving.counting import count_on
from spillway.client import SyncClient
from spillway.local.fleet import LocalFleet
from spillway.local.reporter import Silent
from spillway.local.two_sites import HOME, fake_engine, two_sites
from tests.spillway.local.test_failures_live import replica_pid
from tests.waiting import wait_until
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc
from wire.vllm import inference_pb2, inference_pb2_grpc

pytestmark = [pytest.mark.live, pytest.mark.slow]

TOKENS = 200


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    """Two sites whose engines count, and let nobody in without a lease or a router's pass."""
    with LocalFleet(two_sites(fake_engine() | {"leases": "required"}), Silent()) as fleet:
        fleet.start()
        yield fleet


def counted() -> str:
    """What follows 7."""
    spoken = count_on(b"7")
    return bytes(next(spoken) for _ in range(TOKENS)).decode()


def state(fleet: LocalFleet) -> fleet_pb2.FleetState:
    """What the router says of the fleet."""
    with grpc.insecure_channel(fleet.address) as channel:
        call = fleet_pb2_grpc.FleetStub(channel).Watch(fleet_pb2.WatchFleetRequest())
        try:
            return next(iter(call))
        finally:
            call.cancel()


def test_streams_come_from_the_replicas_and_are_accounted_for(fleet: LocalFleet):
    """Serve hands the lease on, and the router hears of every end."""
    with SyncClient(fleet.address, direct=True) as client:
        answer = client.generate("7", max_new_tokens=TOKENS)
        assert answer.text == counted()
        assert (answer.ending.site, answer.ending.attempts) == (HOME, 1)
        placed = client.generate("7", max_new_tokens=TOKENS, session="s")
        assert placed.ending.request_id.startswith("router-")
    wait_until(lambda: not state(fleet).open_streams)
    assert sum(site.tokens for site in state(fleet).sites) == 2 * TOKENS


def test_nobody_else_is_let_in(fleet: LocalFleet):
    """The replica's port is open, and the replica is not."""
    (address,) = fleet.sites[HOME].replica_addresses()
    with grpc.insecure_channel(address) as channel:
        request = inference_pb2.GenerateRequest(text="7")
        with pytest.raises(grpc.RpcError) as caught:
            list(inference_pb2_grpc.InferenceStub(channel).GenerateStream(request))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with SyncClient(fleet.address) as client:
        assert client.generate("7", max_new_tokens=TOKENS).text == counted()


def test_a_killed_replica_costs_no_token(fleet: LocalFleet):
    """The client comes back to the router, and has the rest from the other site."""
    with SyncClient(fleet.address, direct=True) as client:
        text, stream = "", client.stream("7", max_new_tokens=TOKENS)
        for chunk in stream:
            if not text:
                os.kill(replica_pid(fleet.sites[HOME]), signal.SIGKILL)
            text += chunk.text
    assert text == counted()
    assert stream.ending is not None
    assert stream.ending.resumed == 1
    wait_until(lambda: not state(fleet).open_streams)
