"""How streams get from the engines to the clients of a scene."""

from enum import Enum


class Mode(Enum):
    """The promises are the same in each."""

    PROXIED = "proxied"  # through the router, request by request
    LINK = "link"  # through the router, over one link to each engine
    DIRECT = "direct"  # from the engine itself, with a lease
    GATEWAYS = "gateways"  # through the router and, at each site, another
