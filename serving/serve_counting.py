"""What Ray Serve counts as a request of this replica, for autoscaling and for graceful shutdown.

Serve counts calls. On a link one call is any number of requests, or none, and it lasts for days: so
each session is counted while it runs, and a call that only carries or watches is taken out of the
count. Serve has no public hook for it; its replica object has a counter, which is used here and
nowhere else. Where it is another one than is known here, Serve counts calls.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private.worker import global_worker
from ray.serve._private.common import RequestMetadata, RequestProtocol


@contextmanager
def counted_session() -> Iterator[None]:
    """A request without a call of its own."""
    counter = _counter()
    if counter is None:
        yield
        return
    session = _metadata("GenerateStream")
    counter.inc_num_ongoing_requests(session)
    try:
        yield
    finally:
        counter.dec_num_ongoing_requests(session)


@contextmanager
def uncounted_call(method: str) -> Iterator[None]:
    """A call, which Serve has counted, that is no request."""
    counter = _counter()
    if counter is None:
        yield
        return
    call = _metadata(method)
    counter.dec_num_ongoing_requests(call)
    try:
        yield
    finally:
        counter.inc_num_ongoing_requests(call)  # Serve takes the call out of its count now


def _counter() -> Any:
    """The counter of the replica that this process hosts; None where there is none that counts."""
    for actor in global_worker.actors.values():
        counter = getattr(getattr(actor, "_replica_impl", None), "_metrics_manager", None)
        if hasattr(counter, "inc_num_ongoing_requests") and hasattr(
            counter, "dec_num_ongoing_requests"
        ):
            return counter
    return None


def _metadata(method: str) -> RequestMetadata:
    return RequestMetadata(
        request_id="",
        internal_request_id="",
        call_method=method,
        _request_protocol=RequestProtocol.GRPC,
        is_direct_ingress=True,
    )
