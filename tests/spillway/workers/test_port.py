"""A port that workers share is theirs alone."""

import socket

import pytest

from spillway.workers.port import SharedPort


def listening(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    return listener


def test_workers_listen_where_it_is_held():
    """It gets no connection itself, and stays held when the last of them has gone."""
    held = SharedPort("127.0.0.1:0")
    with listening(held.port), socket.create_connection(("127.0.0.1", held.port), timeout=2):
        pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", held.port), timeout=2)
    with listening(held.port) as again:
        assert again
    held.close()


def test_a_port_where_another_listens_is_taken():
    """Even if that one would share it: its workers are another router's."""
    with listening(0) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
            SharedPort(f"127.0.0.1:{port}")
