"""The synchronous twin does what the client does."""

from inspect import signature

import pytest

from spillway import client as sw
from spillway.client import Client, SyncClient


@pytest.fixture
def client(router):
    with SyncClient(router.address) as found:
        yield found


def test_a_stream_yields_the_chunks_in_order(client):
    """And its ending, when it is complete."""
    stream = client.stream("count 3", request_id="mine")
    assert [chunk.text for chunk in stream] == ["0 ", "1 ", "2 "]
    assert stream.ending == sw.Ending("r-mine", "cellar", 2)


def test_leaving_a_loop_cancels_the_call(client, router):
    """A break is enough: nobody holds the stream any more."""
    for _ in client.stream("forever"):
        break
    router.wait_until_open(0)


def test_ctrl_c_in_a_loop_cancels_the_call(client, router):
    """An interrupted script leaves no request behind."""

    def interrupted() -> None:
        with client.stream("forever") as stream:
            for _ in stream:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    router.wait_until_open(0)


def test_a_cancelled_stream_ends(client):
    """Its loop ends without an error."""
    stream = client.stream("forever")
    next(stream)
    stream.cancel()
    assert list(stream) == []


def test_a_status_becomes_its_exception(client):
    """With its details."""
    with pytest.raises(sw.OverloadedError) as caught:
        client.generate("fail RESOURCE_EXHAUSTED")
    assert caught.value.retry_after_s == 1.5
    with pytest.raises(sw.DeadlineError):
        client.generate("forever", deadline_s=0.2)


def test_the_fleet_can_be_asked(client, router):
    """Explain, watch, drain and undrain, and the models that are served."""
    assert client.explain(token_ids=[1, 2]).site == "cellar"
    assert list(router.requests[-1].token_ids.ids) == [1, 2]
    assert next(client.watch_fleet(0.01)).router_id == "router-1"
    assert client.drain("ridge") == 3
    client.undrain("ridge")
    assert client.models() == ["tiny"]


def test_a_replica_says_its_model_itself(replica):
    """What serves no fleet is asked by the engine's own API."""
    with SyncClient(replica.address) as client:
        assert client.models() == ["tiny"]


def test_waiting_for_a_place_ends_at_the_deadline(router):
    """As it does for the asynchronous client."""
    with SyncClient(router.address, streams_max=1) as client, client.stream("forever") as first:
        next(first)
        with pytest.raises(sw.DeadlineError, match="before the request could be sent"):
            client.stream("count 1", deadline_s=0.1)


def test_the_twins_take_the_same_arguments():
    """Whoever knows one client knows the other."""

    def public(kind):
        methods = {name: one for name, one in vars(kind).items() if callable(one)}
        return {
            name: list(signature(one).parameters.values())
            for name, one in methods.items()
            if not name.startswith("_") or name == "__init__"
        }

    assert public(SyncClient) == public(Client)
