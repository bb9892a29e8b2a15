"""On which line a client says who it is: a key goes over TLS, or no further than this machine.

A key that was read on the way is its reader's until somebody notices. So a client that has one
speaks plaintext with another machine only where it is told to in so many words: those that a fleet
file has for the same thing.
"""

import os
from collections.abc import Iterable
from typing import Final

from spillway.client.options import OptionError
from wire.tls.plaintext import ACCEPTED, is_loopback

PLAINTEXT_ENV: Final = "SPILLWAY_PLAINTEXT"
"""The words of a client that is given none."""

_SCHEMES: Final = ("dns:", "ipv4:", "ipv6:")


def check_line(addresses: Iterable[str], plaintext: str | None) -> None:
    """Whether a key may go to these addresses without TLS; None: as the environment says.

    Raises OptionError.
    """
    words = os.environ.get(PLAINTEXT_ENV) if plaintext is None else plaintext
    if words == ACCEPTED:
        return
    if words:
        raise OptionError(f"plaintext: expected {ACCEPTED}, found {words!r}")
    for address in addresses:
        if not _stays_here(address):
            raise OptionError(
                f"an API key would go to {address} for everybody on the way to read: give tls (--ca"
                f" on the command line), or accept it with plaintext={ACCEPTED!r}, or with that in"
                f" {PLAINTEXT_ENV}"
            )


def _stays_here(address: str) -> bool:
    """Whether an address, as gRPC takes it, is on this machine."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in _SCHEMES:
        if address.startswith(scheme):
            address = address.removeprefix(scheme).rpartition("/")[2]
    return is_loopback(address.rpartition(":")[0] or address)
