"""Where a router says that a request may go, as a client takes it there and brings it back."""

from dataclasses import dataclass

import grpc
import grpc.aio

from spillway.client.errors import error_of
from spillway.client.options import Call
from spillway.client.paths import Paths, Way
from wire.spillway.v1.cookie import COOKIE_KEY
from wire.spillway.v1.fleet_pb2 import LeaseClaim, Placement, PlaceRequest
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY
from wire.spillway.v1.resume import IDENTITY_KEY
from wire.spillway.v1.trailers import ATTEMPTS_KEY, ENDPOINT_KEY, REQUEST_ID_KEY, SITE_KEY
from wire.status import Metadata
from wire.vllm.inference_pb2 import FinishInfo, GenerateResponse

_ELSEWHERE = frozenset(
    {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.CANCELLED}
)


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a request may go, and what it has to show there."""

    placement: Placement

    @property
    def way(self) -> Way:
        """How the endpoint is reached."""
        return Way(self.placement.address, self.placement.authority)

    @property
    def metadata(self) -> Metadata:
        """What goes with the request to the endpoint."""
        return ((LEASE_KEY, self.placement.lease),)

    def coming_back(self, end: LeaseClaim.End) -> Metadata:
        """What goes with it to the router, after this end."""
        return (*self.metadata, (LEASE_END_KEY, LeaseClaim.End.Name(end)))

    @property
    def initial(self) -> Metadata:
        """What a router would say of what answers."""
        identity = self.placement.identity
        return ((IDENTITY_KEY, identity),) if identity else ()

    @property
    def trailers(self) -> Metadata:
        """What a router would say in the end."""
        placement = self.placement
        return (
            (SITE_KEY, placement.site),
            (ENDPOINT_KEY, placement.endpoint),
            (ATTEMPTS_KEY, "1"),
            (REQUEST_ID_KEY, placement.request_id),
            *(((COOKIE_KEY, placement.cookie),) if placement.cookie else ()),
        )


def question_of(call: Call, remaining_s: float) -> PlaceRequest:
    """What the router is asked."""
    return PlaceRequest(request=call.request, deadline_s=remaining_s)


def raise_unless_it_goes_through(
    error: grpc.RpcError, address: str, request_id: str, paths: Paths, now_s: float
) -> None:
    """Do nothing where a request whose placement failed like this goes through the router instead.

    `paths` learns whether there is any use in asking again.

    Raises SpillwayError for any other failure: it is what the request itself would get.
    """
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        paths.not_offered(now_s)
    if error.code() not in _ELSEWHERE:
        raise error_of(error, address, request_id) from None


def broken(details: str) -> grpc.aio.AioRpcError:
    """What a stream breaks with where gRPC itself has nothing to say."""
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, details=details)


def was_ended(response: GenerateResponse) -> bool:
    """Whether an endpoint ended an answer because it was told to, and not by its client."""
    finish = response.outputs.finish_info
    return finish.finish_reason == FinishInfo.ABORTED
