"""A bounded pool of channels to one address, each a connection of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

ADDRESS = "127.0.0.1:7070"
"""Where a router listens unless it is told otherwise."""

CONNECTIONS = 4
"""Several, because a router that runs as several processes shares them out by connection."""

DEADLINE_S = 600.0
"""For a whole answer, where no other is asked for."""

ASK_DEADLINE_S = 10.0
"""For a question that needs no engine."""

STREAMS_MAX = 1_000
"""Open streams of one client; the next one waits."""

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

ChannelT = TypeVar("ChannelT")


@dataclass(slots=True)
class Connection(Generic[ChannelT]):
    """A channel and how many calls use it."""

    channel: ChannelT
    calls: int = 0


class Connections(Generic[ChannelT]):
    """Opens channels as they are needed, and gives each call the one that is used least."""

    def __init__(self, open_channel: Callable[[], ChannelT], size_max: int) -> None:
        if size_max < 1:
            raise ValueError(f"expected at least one connection, found {size_max}")
        self._open_channel = open_channel
        self._size_max = size_max
        self._all: list[Connection[ChannelT]] = []
        self._lock = threading.Lock()  # the synchronous client may be used by several threads

    def take(self) -> Connection[ChannelT]:
        """A connection for one call, to be given back."""
        with self._lock:
            least = min(self._all, key=lambda one: one.calls, default=None)
            if least is None or (least.calls and len(self._all) < self._size_max):
                least = Connection(self._open_channel())
                self._all.append(least)
            least.calls += 1
            return least

    def give_back(self, connection: Connection[ChannelT]) -> None:
        """The call has ended."""
        with self._lock:
            connection.calls -= 1

    def clear(self) -> list[ChannelT]:
        """Forget all channels; they are the caller's to close."""
        with self._lock:
            channels = [one.channel for one in self._all]
            self._all.clear()
            return channels

    def __len__(self) -> int:
        return len(self._all)
