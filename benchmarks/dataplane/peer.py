"""One end of a connection of the fake engine or of its load client: a socket, and what waits."""

import socket
from abc import ABC, abstractmethod
from typing import Final

_READ: Final = 1 << 18


class Peer(ABC):
    """Writes all that is to go out in one call, and hands over what has come in."""

    def __init__(self, sock: socket.socket) -> None:
        self.out: list[bytes] = []  # to be sent by the next flush
        self.closed = False
        self.adopt(sock)

    def adopt(self, sock: socket.socket) -> None:
        """Goes on with this socket, of which nothing has been read."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sock = sock
        self._unsent = b""
        self._unread = b""

    def fileno(self) -> int:
        """Of its socket, for select."""
        return self.sock.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether bytes wait for room in the socket."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        if self.out:
            self._unsent += b"".join(self.out)
            self.out.clear()
        if not self._unsent or self.closed:
            return
        try:
            sent = self.sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        self._unsent = self._unsent[sent:]

    def receive(self) -> None:
        """Take what has come, and hear of it."""
        try:
            got = self.sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            got = b""
        if not got:
            self.close()
            return
        data = self._unread + got if self._unread else got
        self._unread = data[self.take(data, len(got)) :]

    def close(self) -> None:
        """The connection is over, whoever ended it."""
        if not self.closed:
            self.closed = True
            self.sock.close()
            self.on_close()

    @abstractmethod
    def take(self, data: bytes, got: int) -> int:
        """What has come, with what was left of it before; `got` bytes of it are new.

        Returns how many bytes are done with; the others come again, with those that follow.
        """

    @abstractmethod
    def on_close(self) -> None:
        """The connection was lost or closed."""
