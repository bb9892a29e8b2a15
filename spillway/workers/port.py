"""A port that several processes of one router share, and nobody else has."""

import socket

from router.live.address import split_address


class SharedPort:
    """Holds a port for the workers, whether or not any of them listens there right now."""

    def __init__(self, listen: str) -> None:
        """Takes host:port; port 0 takes a free one. Raises OSError where it is taken."""
        host, port = split_address(listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # First without sharing: another router's workers are no friends of ours.
        with _bound(family, host, port, shared=False) as alone:
            port = alone.getsockname()[1]
        # Bound and not listening, it gets no connections.
        self._held = _bound(family, host, port, shared=True)
        self.port = port
        self.address = f"{listen.rpartition(':')[0]}:{port}"

    def close(self) -> None:
        """Gives it back."""
        self._held.close()


def _bound(family: socket.AddressFamily, host: str, port: int, *, shared: bool) -> socket.socket:
    held = socket.socket(family, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shared))
        held.bind((host, port))
    except OSError as error:
        held.close()
        raise OSError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return held
