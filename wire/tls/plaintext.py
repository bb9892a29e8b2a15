"""Where bytes may travel as they are: on the machine itself, or where somebody has said so."""

import ipaddress
from typing import Final, Literal

Accepted = Literal["i-accept-that-anyone-can-read-this"]
"""What has to be written before anything travels unencrypted between machines."""

ACCEPTED: Final[Accepted] = "i-accept-that-anyone-can-read-this"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback interface, by its name or by its address."""
    host = host.removeprefix("[").removesuffix("]")
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
