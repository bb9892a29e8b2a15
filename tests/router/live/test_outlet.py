"""A client that keeps up gets what came as it came; one that is behind gets it put together."""

import asyncio
from types import SimpleNamespace

import pytest

from router.live.outlet import WAITING_BYTES_MAX, Outlet
from tests.waiting import DEADLINE_S, until, until_still
from wire.vllm.inference_pb2 import GenerateResponse, SequenceOutput


def message(text):
    return GenerateResponse(outputs=SequenceOutput(text=text, num_tokens=1)).SerializeToString()


class Clock:
    """Stands while nobody advances it."""

    now_s = 100.0

    def perf_counter(self):
        return self.now_s


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The outlet's clock."""
    standing = Clock()
    monkeypatch.setattr("router.live.outlet.time", standing)
    return standing


@pytest.fixture
def client(clock):
    return Client(clock)


class Client:
    """Takes what is written, each when it is let go on, and takes its time for it."""

    def __init__(self, clock):
        self.got = []
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.takes_s = 0.0
        self.error = None
        self._clock = clock

    async def write(self, raw):
        await self.goes_on.wait()
        self._clock.now_s += self.takes_s
        if self.error is not None:
            raise self.error
        self.got.append(GenerateResponse.FromString(raw).outputs)

    @property
    def text(self):
        return "".join(output.text for output in self.got)


async def behind(client, hold_s=0.0):
    """An outlet whose client was slow with its first message."""
    outlet = Outlet(client.write, hold_s)
    client.takes_s = 0.02
    await outlet.give(message("0"))
    client.takes_s = 0.0
    client.goes_on.clear()
    return outlet


async def give_for_ever(outlet, given):
    """A thousand bytes at a time, written down when they are taken."""
    while True:
        await outlet.give(message("x" * 1_000))
        given.append(1_000)
        await asyncio.sleep(0)


async def test_a_client_that_keeps_up_gets_each_message_by_itself(client):
    """At once, and without a task."""
    outlet = Outlet(client.write, 10.0)
    tasks = len(asyncio.all_tasks())
    for number in range(5):
        await outlet.give(message(str(number)))
        assert len(client.got) == number + 1
    assert len(asyncio.all_tasks()) == tasks


async def test_what_comes_while_a_client_is_behind_goes_out_as_one(client):
    """In order, and with the sum of its counts."""
    outlet = await behind(client)
    for number in range(1, 9):
        await outlet.give(message(str(number)))
    client.goes_on.set()
    await outlet.flush()
    assert client.text == "012345678"
    assert sum(output.num_tokens for output in client.got) == 9
    assert len(client.got) < 9


async def test_writes_to_one_who_is_behind_can_be_held_back(client, monkeypatch):
    """So that all that comes in that time is one message."""
    over, held = asyncio.Event(), []

    async def sleep(seconds):
        held.append(seconds)
        await over.wait()

    ours = SimpleNamespace(sleep=sleep, create_task=asyncio.create_task, Event=asyncio.Event)
    monkeypatch.setattr("router.live.outlet.asyncio", ours)
    outlet = await behind(client, hold_s=0.05)
    client.goes_on.set()
    for number in range(1, 5):
        await outlet.give(message(str(number)))
        await asyncio.sleep(0)
    over.set()
    await outlet.flush()
    assert [output.text for output in client.got] == ["0", "1234"]
    assert held == [0.05]


async def test_who_has_caught_up_gets_messages_by_themselves_again(client):
    """The writer is gone when nothing waits."""
    outlet = await behind(client)
    await outlet.give(message("1"))
    client.goes_on.set()
    await outlet.flush()
    tasks = len(asyncio.all_tasks())
    await outlet.give(message("2"))
    assert client.text == "012"
    assert len(asyncio.all_tasks()) == tasks


async def test_what_waits_is_bounded(client):
    """A client that reads nothing stops whoever gives, after so many bytes."""
    outlet = await behind(client)
    given = []
    giving = asyncio.create_task(give_for_ever(outlet, given))
    await until_still(lambda: len(given), lambda: asyncio.sleep(0))
    assert sum(given) < 2 * WAITING_BYTES_MAX + 2_000
    giving.cancel()
    outlet.close()


@pytest.mark.parametrize("ending", ["give", "flush"])
async def test_a_failed_write_is_heard_of(client, ending):
    """By the next message or by the end, whichever comes first; nobody waits for good."""
    outlet = await behind(client)
    await outlet.give(message("1"))
    client.error = ConnectionError("the client went")
    client.goes_on.set()
    goes_on = outlet.flush() if ending == "flush" else give_for_ever(outlet, [])
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(goes_on, DEADLINE_S)
    outlet.close()


async def test_closing_ends_the_writer_and_is_silent_about_its_error(client):
    """Whether it is waiting or has failed."""
    for error in (None, ConnectionError("the client went")):
        client.goes_on.set()
        outlet = await behind(client)
        await outlet.give(message("1"))
        await asyncio.sleep(0)
        if error is not None:
            client.error = error
            client.goes_on.set()
            await until(outlet._writer.done)
        outlet.close()
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_without_a_hold_each_message_is_written_by_itself(client):
    """However late the client is."""
    outlet = await behind(client, hold_s=None)
    client.goes_on.set()
    for number in range(1, 5):
        await outlet.give(message(str(number)))
    assert [output.text for output in client.got] == ["0", "1", "2", "3", "4"]
