"""Leases as a router would sign them for the fake replica of a test."""

import time

from wire.spillway.v1.fingerprint import fingerprint_of
from wire.spillway.v1.lease import LEASE_KEY, sign
from wire.spillway.v1.lease_pb2 import Lease
from wire.vllm import inference_pb2

KEY = b"k1" * 16
OTHER_KEY = b"k2" * 16
S = 1_000_000_000


def ask(text="7", max_new_tokens=5, request_id="lease-1", **fields):
    """A request for what follows text."""
    stopping = inference_pb2.StoppingCriteria(max_new_tokens=max_new_tokens)
    return inference_pb2.GenerateRequest(
        text=text, stopping=stopping, request_id=request_id, **fields
    )


def lease_for(request, instance, expires_in_ns=30 * S, **fields):
    """A lease that fits the request, but for these fields."""
    fitting = {
        "id": request.request_id,
        "audience": instance,
        "issuer": "router-1",
        "expires_unix_ns": time.time_ns() + expires_in_ns,
        "session": request.session_id,
        "fingerprint": fingerprint_of(request),
        "request_bytes_max": request.ByteSize(),
        "output_tokens_max": request.stopping.max_new_tokens,
    }
    return Lease(**(fitting | fields))


def shown(lease, key=KEY):
    """The metadata of a call that comes with this lease."""
    return ((LEASE_KEY, sign(lease, key)),)
