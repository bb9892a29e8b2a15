"""The end of a router, as whoever waits between two looks at something wants to hear of it."""

import asyncio


class Closing:
    """Set once, when the router closes."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def begin(self) -> None:
        """The router closes."""
        self._event.set()

    @property
    def begun(self) -> bool:
        """Whether it does."""
        return self._event.is_set()

    async def begins_within(self, wait_s: float) -> bool:
        """Waits for `wait_s`, or until the router closes; says whether it does."""
        try:
            async with asyncio.timeout(wait_s):
                await self._event.wait()
        except TimeoutError:
            return False
        return True
