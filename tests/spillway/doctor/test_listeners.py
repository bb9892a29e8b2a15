"""Listening sockets with their processes, as Linux tells."""

import os
import socket
from pathlib import Path

from router.live.settings import RouterSettings
from spillway.doctor.finding import Level
from spillway.doctor.listeners import Listener, listeners
from spillway.doctor.ports import ports


def test_a_socket_is_found_with_its_process():
    """Where it listens, and who that is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (found,) = [one for one in listeners() if one.port == port]
    assert (found.host, found.pid) == ("127.0.0.1", os.getpid())
    assert found.is_loopback
    # pytest-xdist gives its workers another title than "python".
    said = Path("/proc/self/cmdline").read_text().replace("\0", " ")
    assert found.command
    assert found.command in said


def test_every_interface_is_not_the_loopback_one_in_either_version():
    """Also where the kernel shows it in the other's form."""
    with socket.create_server(("0.0.0.0", 0)) as four:
        hosts = {one.host: one for one in listeners() if one.port == four.getsockname()[1]}
    assert not hosts["0.0.0.0"].is_loopback
    if socket.has_ipv6:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
            found = [one for one in listeners() if one.port == six.getsockname()[1]]
        assert [(one.host, one.is_loopback) for one in found] == [("::1", True)]


def test_nothing_is_found_where_there_is_no_proc(tmp_path):
    """Other systems have none."""
    assert listeners(tmp_path) == []


def test_a_port_is_free_or_held_by_somebody_with_a_name():
    """Held by a router of ours it is as it should be."""
    settings = RouterSettings(
        listen="0.0.0.0:7070", metrics_listen="127.0.0.1:7071", health_listen="0.0.0.0:7072"
    )
    held = [
        Listener("0.0.0.0", 7070, 12, "python -m spillway route fleet.yaml"),
        Listener("127.0.0.1", 7071, 13, "nginx: worker"),
        Listener("0.0.0.0", 7072, 14, "python -m http.server"),
        Listener("0.0.0.0", 8265, None, ""),
    ]
    found = {one.what.split(" ")[0]: one for one in ports(settings, held)}
    assert found["7070"].level is Level.OK
    assert found["7071"].level is Level.PROBLEM
    assert "process 13 (nginx: worker)" in found["7071"].what
    assert found["7072"].level is Level.PROBLEM
    assert found["8265"].level is Level.WARNING
    assert found["6379"].what == "6379 (Ray's GCS) is free"
