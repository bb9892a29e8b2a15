"""Ports for one site: a block that nobody else uses and no other local fleet will choose.

Ray wants every port named. A block is found by binding each of its ports once; its first port stays
bound as long as the fleet lives, so that another fleet that probes the block before Ray has opened
its ports finds it taken. The blocks lie on a fixed grid, and so either coincide or do not touch.
"""

import contextlib
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from spillway.local.errors import LocalError

BLOCK_PORTS = 128
FIRST_PORT = 10_240
LAST_PORT = 32_767  # the kernel gives higher ones to outgoing connections


class PortsError(LocalError):
    """No ports can be had; the message says what to do."""


@dataclass
class PortBlock:
    """A block of consecutive ports, nobody else's until `release()`."""

    first: int
    guard: socket.socket

    def port(self, place: int) -> int:
        """The port at this place of the block; place 0 is the guard's."""
        if not 0 < place < BLOCK_PORTS:
            raise IndexError(place)
        return self.first + place

    def release(self) -> None:
        """Let others have the block."""
        self.guard.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def grid() -> list[int]:
    """The first port of each block there is."""
    return list(range(FIRST_PORT, LAST_PORT + 2 - BLOCK_PORTS, BLOCK_PORTS))


def take_block(rng: random.Random, blocks: Sequence[int] | None = None) -> PortBlock:
    """A free block, in an order that `rng` shuffles so that two fleets seldom meet.

    Raises:
        PortsError: every block has a port in use.
    """
    candidates = list(grid() if blocks is None else blocks)
    rng.shuffle(candidates)
    for first in candidates:
        guard = _bind(first)
        if guard is None:
            continue
        if all(is_free(port) for port in range(first + 1, first + BLOCK_PORTS)):
            return PortBlock(first, guard)
        guard.close()
    raise PortsError(
        f"No {BLOCK_PORTS} consecutive ports between {FIRST_PORT} and {LAST_PORT} are free: "
        "end some of the servers on this machine (`ss -ltn` lists them)."
    )


def is_free(port: int) -> bool:
    """Whether a server could listen on this port on every interface."""
    probe = _bind(port)
    if probe is None:
        return False
    probe.close()
    return True


def hold(address: str) -> socket.socket:
    """Keep the port of an address (host:port) that a person chose, until the socket is closed.

    Raises:
        PortsError: somebody else listens on it.
    """
    port = int(address.rpartition(":")[2])
    held = _bind(port)
    if held is None:
        raise PortsError(
            f"Port {port} is in use: choose another, "
            f"or end what uses it (`ss -ltnp 'sport = :{port}'` shows it)."
        )
    return held


def _bind(port: int) -> socket.socket | None:
    """A socket that holds the port on every interface, or None where it is taken."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.suppress(OSError):
        # Without listening the port would count as free for whoever sets SO_REUSEADDR, as Ray does.
        held.bind(("", port))
        held.listen(1)
        return held
    held.close()
    return None
