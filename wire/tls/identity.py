"""The identities that certificates carry: DNS names, and SPIFFE ids as URIs."""

import re
from typing import Final

SPIFFE_SCHEME: Final = "spiffe://"

_LENGTH_MAX: Final = 2048  # SPIFFE's own bound
_DNS_LENGTH_MAX: Final = 253
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_SPIFFE: Final = re.compile(r"spiffe://[a-z0-9._-]{1,255}((?:/[A-Za-z0-9._-]+)+)")


def is_spiffe_id(text: str) -> bool:
    """Whether it is a SPIFFE id of a workload, such as spiffe://example.org/site/ridge."""
    match = _SPIFFE.fullmatch(text) if len(text) <= _LENGTH_MAX else None
    return match is not None and not {".", ".."} & set(match[1].split("/"))


def is_dns_name(text: str) -> bool:
    """Whether it is a DNS name in small letters, without a wildcard and not a bare address."""
    if len(text) > _DNS_LENGTH_MAX or _DNS.fullmatch(text) is None:
        return False
    return not text.rpartition(".")[2].isdecimal()  # or it would be an IPv4 address


def is_identity(text: str) -> bool:
    """Whether a certificate may carry it as the name of a router or a site."""
    return is_spiffe_id(text) or is_dns_name(text)
