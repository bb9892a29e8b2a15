"""Who may bring a request here: whoever the router in front sent, or anybody.

A client that comes by itself shows a lease (`wire.spillway.v1.lease`), a router its own pass. Where
leases are required, nobody else comes in; where they are not, who shows one is held to it.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import grpc
from google.rpc.error_details_pb2 import ErrorInfo

from wire.metadata import TENANT_KEY, session_of
from wire.spillway.v1.fingerprint import fingerprint_of
from wire.spillway.v1.lease import (
    LEASE_KEY,
    LeaseError,
    LeaseFault,
    Request,
    check_place,
    check_request,
    open_lease,
)
from wire.spillway.v1.lease_pb2 import Lease
from wire.spillway.v1.rewriting import tokens_max
from wire.status import CallError, failure
from wire.vllm.inference_pb2 import GenerateRequest

Pairs = Iterable[tuple[str, str | bytes]]

_UNPROVEN: Final = frozenset({LeaseFault.MISSING, LeaseFault.FORGED})


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """How leases are dealt with here. Without keys none can be verified, and none is taken."""

    keys: tuple[bytes, ...] = ()
    required: bool = False


class LeaseDoor:
    """Lets requests in, or raises CallError with the fault as the reason."""

    def __init__(
        self,
        terms: LeaseTerms,
        instance_id: str,
        now_unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._terms = terms
        self._instance_id = instance_id
        self._now_unix_ns = now_unix_ns

    @property
    def takes_leases(self) -> bool:
        """Whether clients may come by themselves with one."""
        return bool(self._terms.keys)

    @property
    def requires_leases(self) -> bool:
        """Whether nobody comes in without one, or a router's pass."""
        return self._terms.required

    def admit(self, request: GenerateRequest, metadata: Pairs) -> Lease | None:
        """The lease that a request comes with; None where it needs none, or has a router's pass.

        What the lease lays over the request is in it then.
        """
        metadata = tuple(metadata)
        try:
            lease = self._shown(metadata)
            if lease is not None:
                check_request(lease, _facts(request, metadata, lease))
        except LeaseError as error:
            raise _refusal(error) from error
        if lease is None or lease.pass_through:
            return None
        if lease.laid_over:
            request.MergeFromString(lease.laid_over)
        return lease

    def admit_abort(self, request_ids: Sequence[str], metadata: Pairs) -> None:
        """Where leases are required, a client may end the request of its own lease alone."""
        try:
            lease = self._shown(tuple(metadata)) if self._terms.required else None
        except LeaseError as error:
            raise _refusal(error) from error
        if lease is not None and not lease.pass_through and list(request_ids) != [lease.id]:
            other = LeaseError(LeaseFault.OTHER_REQUEST, "the lease is for another request_id")
            raise _refusal(other)

    def _shown(self, metadata: Pairs) -> Lease | None:
        text = dict(metadata).get(LEASE_KEY)
        if text is None:
            if self._terms.required:
                raise LeaseError(LeaseFault.MISSING, "requests come here through a router only")
            return None
        if not self._terms.keys:
            return None
        lease = open_lease(text, self._terms.keys)
        check_place(lease, self._instance_id, self._now_unix_ns())
        return lease


def _facts(request: GenerateRequest, metadata: Pairs, lease: Lease) -> Request:
    # Who shows the router a key need not know what the fleet calls its holder.
    tenant = dict(metadata).get(TENANT_KEY, lease.tenant)
    return Request(
        id=request.request_id,
        session=request.session_id or session_of(metadata)[1],
        tenant=tenant if isinstance(tenant, str) else "",
        fingerprint=fingerprint_of(request),
        bytes=request.ByteSize(),
        output_tokens_max=tokens_max(request) * max(1, request.sampling.num_sequences),
    )


def _refusal(error: LeaseError) -> CallError:
    unproven = error.fault in _UNPROVEN
    code = grpc.StatusCode.UNAUTHENTICATED if unproven else grpc.StatusCode.PERMISSION_DENIED
    info = ErrorInfo(reason=error.fault.value, domain="spillway")
    return failure(code, error.message, info)
