"""Begins what a router does to share with others, where it does."""

from contextlib import AsyncExitStack

from router.live import background
from router.live.settings import StoreSettings
from router.live.timed_core import TimedCore


async def begin_sharing(core: TimedCore, settings: StoreSettings, opened: AsyncExitStack) -> None:
    """Asks the store once, and then again and again until `opened` is closed.

    Raises OSError and ValueError as SharedStore does.
    """
    if settings.url is None:
        return
    from router.live.shared_store import SharedStore  # noqa: PLC0415 - 15 MB of a client

    store = SharedStore(core, settings)
    await store.ask()  # so that the first requests find what they may use
    opened.push_async_callback(store.close)
    opened.push_async_callback(background.end, background.begin(store.run(), "store"))
