"""What a page is sent, read as the page reads it."""

import asyncio
import json

from hypothesis import strategies as st

from tests.waiting import DEADLINE_S

FIGURES = st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["", "up"]))
ROWS = st.lists(st.lists(FIGURES, min_size=2, max_size=2), max_size=3)
SITES = st.lists(
    st.fixed_dictionaries({"open": FIGURES, "lent": st.none() | st.lists(FIGURES), "each": ROWS}),
    max_size=3,
)
FRAMES = st.fixed_dictionaries(
    {"at": st.integers(0, 2**50), "sites": SITES, "notices": st.lists(FIGURES)}
)
"""Frames of any kind, with sites and endpoints that come and go."""


async def read_event(response):
    """The name of the next event, and what it tells."""
    async with asyncio.timeout(DEADLINE_S):
        name = (await response.content.readuntil(b"\n")).decode().removeprefix("event: ").strip()
        data = (await response.content.readuntil(b"\n\n")).decode().removeprefix("data: ")
    return name, json.loads(data)


async def read_frame(response, last):
    """The next frame, put together from the last one as the page does it."""
    name, said = await read_event(response)
    assert name == ("frame" if last is None else "change")
    return changed(last, said)


def changed(before, change):
    """See changing.js."""
    if isinstance(before, dict) and isinstance(change, dict):
        return before | {name: changed(before[name], one) for name, one in change.items()}
    if isinstance(before, list) and isinstance(change, dict):
        return [changed(one, change.get(str(at), one)) for at, one in enumerate(before)]
    return change


async def changes(response):
    """Every frame after the hello, whole."""
    frame = None
    while True:
        frame = await read_frame(response, frame)
        yield frame
