"""Leases: a router's word to an endpoint that a client may bring it a request by itself.

The router signs, the endpoint verifies, and nobody else can do either: the signature is an
HMAC-SHA256 with a key that the routers and endpoints of one fleet share. A client carries a lease
as it is. It is bound to one endpoint (the instance that runs there), one request (its id, session,
tenant, prompt and size) and a few seconds in which the stream has to begin. So whoever replays one,
or finds one, can only have the same request served there once more, on the same account.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from google.protobuf.message import DecodeError

from wire.spillway.v1.lease_pb2 import Lease, SignedLease

LEASE_KEY: Final = "x-spillway-lease"
"""Metadata of a request: the signed lease, in the alphabet of URLs. Of a request to a router: the
lease that its client comes back with."""

LEASE_END_KEY: Final = "x-spillway-lease-end"
"""Metadata beside it then: what became of the lease, by its name in LeaseClaim.End."""

LEASE_CHARS_MAX: Final = 4 * 1024
"""Some twice of what the longest names make of a lease."""

SKEW_NS: Final = 1_000_000_000
"""How far the clock by which a router set an expiry may have been off the endpoint's: it knows that
clock from the load reports, as late as those are on their way."""

LIFE_MAX_NS: Final = 120_000_000_000
"""An expiry further ahead was not set by this endpoint's clock."""

_PURPOSE: Final = b"spillway.v1.Lease\0"
"""The same keys sign cookies: what was signed as one is not taken for the other."""


class LeaseFault(Enum):
    """Why a lease is not taken. The values are what clients are told as the reason."""

    MISSING = "LEASE_MISSING"
    FORGED = "LEASE_FORGED"
    EXPIRED = "LEASE_EXPIRED"
    FOREIGN = "LEASE_FOREIGN"
    OTHER_REQUEST = "LEASE_OTHER_REQUEST"
    OVERSIZED = "LEASE_OVERSIZED"


LEASE_FAULTS: Final = frozenset(fault.value for fault in LeaseFault)


class LeaseError(Exception):
    """A lease that is not taken."""

    def __init__(self, fault: LeaseFault, message: str) -> None:
        self.fault = fault
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request is held against its lease."""

    id: str
    session: str
    tenant: str
    fingerprint: str
    bytes: int
    output_tokens_max: int


def sign(lease: Lease, key: bytes) -> str:
    """The lease as LEASE_KEY has it."""
    raw = lease.SerializeToString()
    signed = SignedLease(lease=raw, signature=_signature(raw, key))
    return base64.b64encode(signed.SerializeToString(), altchars=b"-_").decode()


def open_lease(text: str | bytes, keys: Sequence[bytes]) -> Lease:
    """The lease that somebody who has one of the keys signed. Raises LeaseError (FORGED)."""
    forged = LeaseError(LeaseFault.FORGED, "the lease was not signed by a router of this fleet")
    if len(text) > LEASE_CHARS_MAX:
        raise forged
    try:
        signed = SignedLease.FromString(base64.b64decode(text, altchars=b"-_", validate=True))
        if not any(
            hmac.compare_digest(signed.signature, _signature(signed.lease, key)) for key in keys
        ):
            raise forged
        return Lease.FromString(signed.lease)
    except (binascii.Error, ValueError, DecodeError):
        raise forged from None


def check_place(lease: Lease, instance: str, now_unix_ns: int) -> None:
    """Whether a lease is for this endpoint, at this time of its clock. Raises LeaseError."""
    if lease.audience != instance:
        raise LeaseError(LeaseFault.FOREIGN, "the lease is for another endpoint, or for one before")
    late_ns = now_unix_ns - lease.expires_unix_ns
    if late_ns > SKEW_NS:
        raise LeaseError(LeaseFault.EXPIRED, f"the lease expired {late_ns / 1e9:.1f} s ago")
    if -late_ns > LIFE_MAX_NS + SKEW_NS:
        raise LeaseError(
            LeaseFault.EXPIRED, "the lease expires further ahead than any may by the clock here"
        )


def check_request(lease: Lease, request: Request) -> None:
    """Whether a lease is for this request. Raises LeaseError."""
    if lease.pass_through:
        return
    for name, asked, granted in (
        ("request_id", request.id, lease.id),
        ("session", request.session, lease.session),
        ("tenant", request.tenant, lease.tenant),
        ("prompt", request.fingerprint, lease.fingerprint),
    ):
        if asked != granted:
            raise LeaseError(LeaseFault.OTHER_REQUEST, f"the lease is for another {name}")
    for what, size, most in (
        ("bytes", request.bytes, lease.request_bytes_max),
        ("tokens of output", request.output_tokens_max, lease.output_tokens_max),
    ):
        if size > most:
            raise LeaseError(
                LeaseFault.OVERSIZED, f"the request has {size} {what}, and its lease is for {most}"
            )


def _signature(raw: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + raw, "sha256")
