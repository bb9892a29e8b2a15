"""A listening socket whose connections are counted from the moment they are accepted.

A server learns of a connection when its handshake is over, and until then nothing of it would be
counted. What comes beyond the most is closed at once: its sender can tell it from a router that is
not there, and whoever was connected is served.
"""

import socket
from typing import Any, Final

_REFUSED_MAX: Final = 100
"""Connections that are closed in one go, before whoever else waits for the event loop has it."""


class BoundedSocket(socket.socket):
    """For `asyncio`, which asks it for connections without waiting."""

    def __init__(self, family: int, connections_max: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections_max = connections_max
        self.connections = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """See socket.socket. Raises BlockingIOError where nobody is to be let in for now."""
        for _ in range(_REFUSED_MAX):
            connection, address = super().accept()
            if self.connections < self._connections_max:
                return _Counted(connection, self), address
            connection.close()
        raise BlockingIOError


class _Counted(socket.socket):
    """A connection that holds one of the places of its listener until it is closed."""

    def __init__(self, accepted: socket.socket, listener: BoundedSocket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._listener: BoundedSocket | None = listener
        listener.connections += 1

    def close(self) -> None:
        """See socket.socket."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.connections -= 1
        super().close()
