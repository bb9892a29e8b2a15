"""What a client hears at the router's address before there is a router."""

import socket

import pytest

from spillway.cli import run
from spillway.commands.failure import Outcome
from spillway.local.ports import PortsError
from spillway.local.starting import MESSAGE, Starting


@pytest.fixture
def address():
    """A free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_an_early_client_hears_that_the_fleet_is_starting(address, capsys):
    """At once, and not after its deadline."""
    with Starting(address):
        assert run(["status", "--address", address]) == Outcome.UNREACHABLE
    assert MESSAGE in capsys.readouterr().err


def test_the_address_is_nobody_else_s_meanwhile_and_free_afterwards(address):
    """Whoever comes later is told that the port is in use."""
    with Starting(address), pytest.raises(PortsError, match="is in use"):
        Starting(address)
    Starting(address).close()
