"""The end of a link that the other side leaves open."""

import asyncio

from wire.spillway.v1.link import MESSAGE_BYTES_MIN
from wire.spillway.v1.link_pb2 import Hello, Open, Up
from wire.spillway.v1.link_server import Link

HELLO = Hello(message_bytes_max=MESSAGE_BYTES_MIN, credit_bytes=1_000)


class Leaves:
    """A host on its way out, with no reports, that answers a session with one chunk."""

    leaving = True
    is_due = False

    async def answer(self, session, send):
        await send(b"last words")


async def turns():
    """Every task that can run has run, many times over."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_link_that_leaves_waits_for_what_is_not_taken_yet(monkeypatch):
    """The last chunks and the ends of its sessions are sent, however late they are read."""
    monkeypatch.setattr("wire.spillway.v1.link_server.LEAVE_S", 0.0)
    host = Leaves()
    link = Link(host, HELLO, host)
    link.hear(Up(opened=[Open(session=1)]))
    leaving = asyncio.create_task(link.leave())
    await turns()
    down = await link.next()
    assert down is not None
    assert list(down.chunks) == [b"last words"]
    assert [ended.session for ended in down.ended] == [1]
    await leaving
    assert await link.next() is None
