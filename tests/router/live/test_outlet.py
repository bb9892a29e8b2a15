"""A client that keeps up gets what came as it came; one that is behind gets it put together."""

import asyncio

import pytest

from router.live.outlet import WAITING_BYTES_MAX, Outlet
from wire.vllm.inference_pb2 import GenerateResponse, SequenceOutput


def message(text):
    return GenerateResponse(outputs=SequenceOutput(text=text, num_tokens=1)).SerializeToString()


class Client:
    """Takes what is written, each when it is let go on."""

    def __init__(self, *, quick=True):
        self.got = []
        self.goes_on = asyncio.Event()
        self.error = None
        if quick:
            self.goes_on.set()

    async def write(self, raw):
        await self.goes_on.wait()
        if self.error is not None:
            raise self.error
        self.got.append(GenerateResponse.FromString(raw).outputs)

    @property
    def text(self):
        return "".join(output.text for output in self.got)


async def behind(client, hold_s=0.0):
    """An outlet whose client was slow with its first message."""
    outlet = Outlet(client.write, hold_s)
    client.goes_on.clear()
    asyncio.get_running_loop().call_later(0.02, client.goes_on.set)
    await outlet.give(message("0"))
    client.goes_on.clear()
    return outlet


async def give_for_ever(outlet, given):
    """A thousand bytes at a time, written down when they are taken."""
    while True:
        await outlet.give(message("x" * 1_000))
        given.append(1_000)
        await asyncio.sleep(0)


async def test_a_client_that_keeps_up_gets_each_message_by_itself():
    """At once, and without a task."""
    client = Client()
    outlet = Outlet(client.write, 10.0)
    tasks = len(asyncio.all_tasks())
    for number in range(5):
        await outlet.give(message(str(number)))
        assert len(client.got) == number + 1
    assert len(asyncio.all_tasks()) == tasks


async def test_what_comes_while_a_client_is_behind_goes_out_as_one():
    """In order, and with the sum of its counts."""
    client = Client()
    outlet = await behind(client)
    for number in range(1, 9):
        await outlet.give(message(str(number)))
    client.goes_on.set()
    await outlet.flush()
    assert client.text == "012345678"
    assert sum(output.num_tokens for output in client.got) == 9
    assert len(client.got) < 9


async def test_writes_to_one_who_is_behind_can_be_held_back():
    """So that all that comes in that time is one message."""
    client = Client()
    outlet = await behind(client, hold_s=0.05)
    client.goes_on.set()
    for number in range(1, 5):
        await outlet.give(message(str(number)))
        await asyncio.sleep(0)
    await outlet.flush()
    assert [output.text for output in client.got] == ["0", "1234"]


async def test_who_has_caught_up_gets_messages_by_themselves_again():
    """The writer is gone when nothing waits."""
    client = Client()
    outlet = await behind(client)
    await outlet.give(message("1"))
    client.goes_on.set()
    await outlet.flush()
    tasks = len(asyncio.all_tasks())
    await outlet.give(message("2"))
    assert client.text == "012"
    assert len(asyncio.all_tasks()) == tasks


async def test_what_waits_is_bounded():
    """A client that reads nothing stops whoever gives, after so many bytes."""
    client = Client()
    outlet = await behind(client)
    given = []
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(give_for_ever(outlet, given), 0.2)
    assert sum(given) < 2 * WAITING_BYTES_MAX + 2_000
    outlet.close()


@pytest.mark.parametrize("ending", ["give", "flush"])
async def test_a_failed_write_is_heard_of(ending):
    """By the next message or by the end, whichever comes first; nobody waits for good."""
    client = Client()
    outlet = await behind(client)
    await outlet.give(message("1"))
    client.error = ConnectionError("the client went")
    client.goes_on.set()
    goes_on = outlet.flush() if ending == "flush" else give_for_ever(outlet, [])
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(goes_on, 2)
    outlet.close()


async def test_closing_ends_the_writer_and_is_silent_about_its_error():
    """Whether it is waiting or has failed."""
    for error in (None, ConnectionError("the client went")):
        client = Client()
        outlet = await behind(client)
        await outlet.give(message("1"))
        await asyncio.sleep(0)
        if error is not None:
            client.error = error
            client.goes_on.set()
            await asyncio.sleep(0.01)
        outlet.close()
        await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == 1


async def test_without_a_hold_each_message_is_written_by_itself():
    """However late the client is."""
    client = Client()
    outlet = await behind(client, hold_s=None)
    client.goes_on.set()
    for number in range(1, 5):
        await outlet.give(message(str(number)))
    assert [output.text for output in client.got] == ["0", "1", "2", "3", "4"]
