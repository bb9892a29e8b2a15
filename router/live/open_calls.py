"""The calls that keep an endpoint's channel open. One object for all of them: there are many."""

import asyncio


class OpenCalls:
    """Counts calls from their beginning to their end, or for as long as a `with` lasts."""

    def __init__(self) -> None:
        self.count = 0
        self.none = asyncio.Event()
        self.none.set()

    def begin(self) -> None:
        """One more is open."""
        self.count += 1
        self.none.clear()

    def end(self) -> None:
        """One has ended."""
        self.count -= 1
        if not self.count:
            self.none.set()

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()
