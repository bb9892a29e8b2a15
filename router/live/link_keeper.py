"""Keeps a link to an endpoint that offers one, for as long as it does.

An endpoint says in its load reports whether it serves links. Requests go their own way until a link
stands, when it is lost until there is a new one, and for good where the site's `link` is `off` or
the endpoint, a plain vLLM server, knows nothing of links.
"""

import asyncio
from typing import Final

import grpc

from router.live.backoff import Backoff
from router.live.link import BadLinkError, Link
from router.live.link_call import LinkCall
from router.live.load_watch import LoadWatch
from wire.status import Metadata

_BAD_RETRY_S: Final = 60.0
"""When one that broke the rules of links is tried again: it may have been replaced."""

_RETRY_FIRST_S, _RETRY_LAST_S = 0.1, 2.0


class LinkKeeper:
    """The link of one endpoint, where it has one."""

    def __init__(
        self, name: str, channel: grpc.aio.Channel, load: LoadWatch, message_bytes_max: int
    ) -> None:
        self._name = name
        self._channel = channel
        self._load = load
        self._message_bytes_max = message_bytes_max
        self._link: Link | None = None

    @property
    def sessions(self) -> int | None:
        """Those on the link; None without a link."""
        return None if self._link is None else self._link.sessions

    @property
    def stands(self) -> bool:
        """Whether there is a link that takes sessions."""
        return self._link is not None and self._link.takes(b"")

    def open(self, request: bytes, timeout_s: float, metadata: Metadata) -> LinkCall | None:
        """Sends a request over the link; None where it has to go its own way."""
        link = self._link
        if link is None or not link.takes(request):
            return None
        return link.open(request, timeout_s, metadata)

    async def run(self) -> None:
        """Connects again and again, until cancelled."""
        backoff = Backoff(_RETRY_FIRST_S, _RETRY_LAST_S)
        while True:
            await self._load.offers_link.wait()
            link = Link(self._name, self._load.request, self._message_bytes_max, self._load.bring)
            pause_s = None
            self._link = link
            try:
                await link.run(self._channel)
            except BadLinkError:
                pause_s = _BAD_RETRY_S
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    pause_s = _BAD_RETRY_S
            finally:
                self._link = None
                self._load.end_bringing()
            if link.is_established:
                backoff.reset()
            await asyncio.sleep(backoff.wait_s() if pause_s is None else pause_s)
