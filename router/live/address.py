"""host:port, as settings write it."""


def split_address(address: str) -> tuple[str, int]:
    """The host and the port; an IPv6 host is written in brackets. Raises ValueError."""
    host, separator, port = address.rpartition(":")
    if not separator or not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{address!r} is not host:port")
    return host.removeprefix("[").removesuffix("]"), int(port)
