"""What a process listens at."""

import os
import socket
import subprocess
import sys

from benchmarks.chaos.listening import listening_ports


def test_only_what_the_process_itself_listens_at_is_told():
    """Not what it connects to, nor what another process has open."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child,
    ):
        found = listening_ports(os.getpid())
        assert server.getsockname()[1] in found
        assert client.getsockname()[1] not in found
        assert listening_ports(child.pid) == frozenset()
        child.communicate(b"\n")
        port = server.getsockname()[1]
    assert port not in listening_ports(os.getpid())


def test_a_process_that_has_ended_listens_at_nothing():
    """And is no error."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert listening_ports(child.pid) == frozenset()
