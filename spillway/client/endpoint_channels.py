"""Connections to endpoints, for clients that stream from them directly."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import grpc

from spillway.client.connections import CHANNEL_OPTIONS
from spillway.client.errors import CancelledError
from spillway.client.paths import Way

ENDPOINTS_MAX = 64
"""Connections to endpoints that are kept open; what is idle for the longest is closed."""

ChannelT = TypeVar("ChannelT")


def options_to(way: Way) -> tuple[tuple[str, object], ...]:
    """Those of a channel to an endpoint."""
    called = (("grpc.default_authority", way.authority),) if way.authority else ()
    return (*CHANNEL_OPTIONS, *called)


class EndpointChannels(Generic[ChannelT]):
    """A connection to each endpoint, with a bound on how many are kept."""

    def __init__(
        self, open_channel: Callable[[Way], ChannelT], close: Callable[[ChannelT], None]
    ) -> None:
        self._open_channel = open_channel
        self._close = close
        self._all: OrderedDict[Way, ChannelT] = OrderedDict()
        self._calls: dict[int, int] = {}  # by the identity of a channel that is in use
        self._retired: dict[int, ChannelT] = {}  # and closed when its last call has ended
        self._closed = False
        self._lock = threading.RLock()  # as Connections has one

    def take(self, way: Way) -> ChannelT:
        """The channel to an endpoint, for one call, to be given back.

        Raises CancelledError once they are closed: nobody would close what opened then.
        """
        with self._lock:
            if self._closed:
                raise CancelledError("this client is closed", grpc.StatusCode.CANCELLED)
            channel = self._all.get(way)
            if channel is None:
                channel = self._all[way] = self._open_channel(way)
            self._all.move_to_end(way)
            self._calls[id(channel)] = self._calls.get(id(channel), 0) + 1
            if len(self._all) > ENDPOINTS_MAX:
                self._drop_idle()
            return channel

    def give_back(self, channel: ChannelT) -> None:
        """The call has ended."""
        with self._lock:
            self._calls[id(channel)] -= 1
            if not self._calls[id(channel)]:
                del self._calls[id(channel)]
                if self._retired.pop(id(channel), None) is not None:
                    self._close(channel)

    def retire(self, way: Way, channel: ChannelT) -> None:
        """Nothing answers on this one: the next call gets another."""
        with self._lock:
            if self._all.get(way) is channel:
                del self._all[way]
                if id(channel) in self._calls:
                    self._retired[id(channel)] = channel
                else:  # its last call ended meanwhile
                    self._close(channel)

    def close(self) -> list[ChannelT]:
        """Open no more; the channels there are the caller's to close."""
        with self._lock:
            self._closed = True
            channels = [*self._all.values(), *self._retired.values()]
            self._all.clear()
            self._retired.clear()
            return channels

    def _drop_idle(self) -> None:
        idle = next((at for at, one in self._all.items() if id(one) not in self._calls), None)
        if idle is not None:
            self._close(self._all.pop(idle))
