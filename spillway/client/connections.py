"""Bounded pools of channels to the addresses of a service, each a connection of its own."""

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc

from spillway.client.errors import CancelledError, SpillwayError, error_of
from wire.status import Metadata

MESSAGE_BYTES_MAX = 64 * 1024 * 1024
"""More than any server here takes, so that it is the server who says what is too large."""

CHANNEL_OPTIONS = (
    # Channels to one address would share one connection otherwise.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    # A client that waits for a router to come up asks it once a second, not every two minutes.
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

API_KEY_ENV = "SPILLWAY_API_KEY"
"""The key of a client that is given none."""

ChannelT = TypeVar("ChannelT")


@dataclass(slots=True)
class Connection(Generic[ChannelT]):
    """A channel and how many calls use it."""

    channel: ChannelT
    address: str
    calls: int = 0


def credentials_of(api_key: str | None) -> Metadata:
    """What goes with a call to a router, to say who asks; None: as the environment says.

    Raises ValueError for what is no key.
    """
    api_key = os.environ.get(API_KEY_ENV, "") if api_key is None else api_key
    if not api_key:
        return ()
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        raise ValueError("an API key is printable ASCII without spaces")
    return (("authorization", f"Bearer {api_key}"),)


class Connections(Generic[ChannelT]):
    """Opens channels as they are needed, and gives each call the one that is used least.

    One address is used at a time, and so many connections to it; the next one when it fails.
    """

    def __init__(
        self,
        open_channel: Callable[[str], ChannelT],
        addresses: str | Sequence[str],
        size_max: int,
        api_key: str | None = None,
    ) -> None:
        """`api_key` is for the addresses here, and goes to nobody else.

        Raises ValueError for what is no key, and for a pool that could have no connection.
        """
        if size_max < 1:
            raise ValueError(f"expected at least one connection, found {size_max}")
        self.addresses = (addresses,) if isinstance(addresses, str) else tuple(addresses)
        if not self.addresses:
            raise ValueError("expected at least one address, found none")
        self.credentials = credentials_of(api_key)
        self._current = 0
        self._closed = False
        self._open_channel = open_channel
        self._size_max = size_max
        self._all: list[Connection[ChannelT]] = []
        # The synchronous client may be used by several threads, and a stream that is collected
        # while a channel opens gives its connection back from within.
        self._lock = threading.RLock()

    @property
    def address(self) -> str:
        """The address in use."""
        return self.addresses[self._current]

    def leave(self, address: str) -> None:
        """A call to this address broke: use the next one, if it is this one that is used."""
        with self._lock:
            if self.address == address:
                self._current = (self._current + 1) % len(self.addresses)

    def take(self) -> Connection[ChannelT]:
        """A connection for one call, to be given back.

        Raises CancelledError once the pool is closed: nobody would close what opened then.
        """
        with self._lock:
            if self._closed:
                raise CancelledError("this client is closed", grpc.StatusCode.CANCELLED)
            here = [one for one in self._all if one.address == self.address]
            least = min(here, key=lambda one: one.calls, default=None)
            if least is None or (least.calls and len(here) < self._size_max):
                least = Connection(self._open_channel(self.address), self.address)
                self._all.append(least)
            least.calls += 1
            return least

    def failed(self, connection: Connection[ChannelT], error: grpc.RpcError) -> SpillwayError:
        """The exception for a call that failed here; where nobody answered, the address is left."""
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            self.leave(connection.address)
        return error_of(error, connection.address)

    def give_back(self, connection: Connection[ChannelT]) -> None:
        """The call has ended."""
        with self._lock:
            connection.calls -= 1

    def close(self) -> list[ChannelT]:
        """Open no more; the channels there are the caller's to close."""
        with self._lock:
            self._closed = True
            channels = [one.channel for one in self._all]
            self._all.clear()
            return channels

    def __len__(self) -> int:
        return len(self._all)
