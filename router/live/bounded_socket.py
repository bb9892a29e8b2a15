"""A listening socket whose connections are counted from the moment they are accepted.

A server learns of a connection when its handshake is over, and until then nothing of it would be
counted. What comes beyond the most is closed at once: its sender can tell it from a router that is
not there, and whoever was connected is served. One address has a part of the places, so that it
takes more than one machine to have them all.
"""

import ipaddress
import socket
from collections import Counter
from typing import Any, Final

_REFUSED_MAX: Final = 100
"""Connections that are closed in one go, before whoever else waits for the event loop has it."""


class BoundedSocket(socket.socket):
    """For `asyncio`, which asks it for connections without waiting."""

    def __init__(self, family: int, connections_max: int, of_address_max: int) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._connections_max = connections_max
        self._of_address_max = of_address_max
        self._by_origin: Counter[str] = Counter()
        self.connections = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """See socket.socket. Raises BlockingIOError where nobody is to be let in for now."""
        for _ in range(_REFUSED_MAX):
            connection, address = super().accept()
            origin = _origin(address)
            is_more = self._by_origin[origin] >= self._of_address_max
            if self.connections < self._connections_max and not is_more:
                return _Counted(connection, self, origin), address
            connection.close()
        raise BlockingIOError

    def count(self, origin: str, more: int) -> None:
        """One connection from there more, or one less."""
        self.connections += more
        self._by_origin[origin] += more
        if not self._by_origin[origin]:
            del self._by_origin[origin]


class _Counted(socket.socket):
    """A connection that holds one of the places of its listener until it is closed."""

    def __init__(self, accepted: socket.socket, listener: BoundedSocket, origin: str) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._listener: BoundedSocket | None = listener
        self._origin = origin
        listener.count(origin, 1)

    def close(self) -> None:
        """See socket.socket."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.count(self._origin, -1)
        super().close()


def _origin(address: Any) -> str:
    """Who an address is of: itself, or of IPv6 the network of 64 bits that one machine may have."""
    host = str(address[0])
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(found, ipaddress.IPv4Address):
        return host
    mapped = found.ipv4_mapped
    return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
