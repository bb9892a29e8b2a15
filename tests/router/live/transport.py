"""How the routers of a test reach their endpoints: the fixture `transport` sets it."""

import asyncio
from dataclasses import dataclass


@dataclass
class Transport:
    """`calls`: every stream is a call. `link`: all of them are sessions. `auto`: as it comes."""

    name: str = "auto"

    @property
    def links(self):
        """Whether routers may use links."""
        return self.name != "calls"

    async def until_it_stands(self, router, within_s=5.0):
        """Waits until no stream would take another way."""
        if self.name != "link":
            return
        async with asyncio.timeout(within_s):
            while not all(e.link.stands for e in router._roster if e.follower.connected):  # noqa: ASYNC110
                await asyncio.sleep(0.005)


TRANSPORT = Transport()
