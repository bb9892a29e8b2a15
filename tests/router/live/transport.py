"""How the routers of a test reach their endpoints: the fixture `transport` sets it."""

from dataclasses import dataclass

from tests.waiting import until


@dataclass
class Transport:
    """`calls`: every stream is a call. `link`: all of them are sessions. `auto`: as it comes."""

    name: str = "auto"

    @property
    def links(self):
        """Whether routers may use links."""
        return self.name != "calls"

    async def until_it_stands(self, router):
        """Waits until no stream would take another way."""
        if self.name == "link":
            connected = [one for one in router._roster if one.follower.connected]
            await until(lambda: all(one.link.stands for one in connected))


TRANSPORT = Transport()
