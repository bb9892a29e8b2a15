"""What follows an attempt that breaks, and what the next one says."""

import grpc
import pytest

from spillway.client import NotFoundError, UnavailableError
from spillway.client.attempts import Attempts
from spillway.client.connections import Connections
from spillway.client.lease_account import LeaseAccount
from spillway.client.options import call_of
from spillway.client.placement import Placed, broken
from tests.spillway.client.failures import failed
from tests.spillway.client.fake_channel import FakeChannel
from wire.spillway.v1.fleet_pb2 import Placement
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY
from wire.vllm.inference_pb2 import GenerateResponse


class AtEndpoint:
    """A call to an endpoint that will have no more to say."""

    def __init__(self):
        self.placed = Placed(Placement(lease="signed", address="e:1"))
        self.account = LeaseAccount("signed", 0.0)


@pytest.fixture
def channel():
    return FakeChannel()


@pytest.fixture
def connections(channel):
    return Connections(lambda _: channel, ["a:1", "b:1"], 1)


@pytest.fixture
def attempts(connections):
    call = call_of("7", {"max_new_tokens": 1}, deadline_s=60.0)
    return Attempts(connections, call, resume_s=30.0, give_up_s=160.0)


def test_the_next_attempt_goes_to_the_next_address_with_the_time_that_is_left(attempts, channel):
    """The first break is no reason to wait."""
    started = attempts.through_router(100.0)
    assert attempts.after(started, broken("gone"), 110.0) == 0.0
    again = attempts.through_router(110.0)
    assert (started.address, again.address) == ("a:1", "b:1")
    assert [said["timeout"] for _, said in channel.sent] == [60.0, 50.0]


def test_an_answer_whose_time_is_over_fails_as_its_last_attempt_did(attempts, connections):
    """It does not go on, and the address is not to blame."""
    started = attempts.through_router(100.0)
    with pytest.raises(UnavailableError, match="gone"):
        attempts.after(started, broken("gone"), 160.0)
    assert connections.address == "a:1"


def test_what_can_never_be_answered_is_not_asked_again(attempts):
    """And the exception names the request."""
    with pytest.raises(NotFoundError) as caught:
        attempts.after(attempts.through_router(100.0), failed(grpc.StatusCode.NOT_FOUND), 101.0)
    assert caught.value.ending.request_id


def test_the_router_is_told_how_an_endpoint_failed(attempts, channel):
    """With the lease, so that it sends the request elsewhere."""
    call = AtEndpoint()
    call.account.fail(grpc.StatusCode.RESOURCE_EXHAUSTED)
    started = attempts.at_endpoint(call, lambda: None)
    assert attempts.after(started, failed(grpc.StatusCode.RESOURCE_EXHAUSTED), 101.0) == 0.0
    assert attempts.through_router(101.0).came_back
    assert dict(channel.sent[0][1]["metadata"]) == {LEASE_KEY: "signed", LEASE_END_KEY: "REFUSED"}


def test_an_endpoint_that_could_not_be_reached_is_told_of_too(attempts, channel):
    """It is the same lease, with another end."""
    attempts.unreachable(AtEndpoint().placed)
    assert attempts.through_router(101.0).came_back
    assert dict(channel.sent[0][1]["metadata"])[LEASE_END_KEY] == "UNREACHABLE"


def test_an_answer_that_lacks_only_its_end_is_given_it(attempts):
    """Its last token has come: nobody need be asked for more."""
    started = attempts.through_router(100.0)
    token = GenerateResponse()
    token.outputs.text = "8 "
    token.outputs.token_ids.append(8)
    attempts.resumption.take(token)
    last = attempts.after(started, broken("gone"), 101.0)
    assert last.outputs.finish_info.num_output_tokens == 1
    assert attempts.ending(started).resumed == 0
