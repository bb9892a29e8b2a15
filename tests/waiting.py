"""Waiting for what has no event of its own, with a deadline that only a defect reaches."""

import asyncio
import time

DEADLINE_S = 90.0
"""A deadline costs nothing where the condition holds. On a machine with ten times the work that it
has processors for, a process takes half a minute until it listens."""


async def until(condition, within_s=DEADLINE_S):
    """Waits for a condition."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


async def until_told(ask, within_s=DEADLINE_S, every_s=0.05):
    """The first answer that is true, of whoever has to be asked again and again to be known of."""
    async with asyncio.timeout(within_s):
        while not (told := await ask()):  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(every_s)
    return told


def wait_until(condition, within_s=DEADLINE_S, every_s=0.01):
    """Waits for a condition, where there is no event loop. A look may cost somebody something."""
    give_up_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_s, f"not so within {within_s:g} s"
        time.sleep(every_s)


async def until_still(count, turn):
    """Waits until a count stands for as long as it takes to make `turn` twenty times.

    Whatever could still count has had its chance: each turn passes through the same event loop,
    and through whatever else `turn` goes through.
    """
    before = None
    async with asyncio.timeout(DEADLINE_S):
        while count() != before:
            before = count()
            for _ in range(20):
                await turn()
