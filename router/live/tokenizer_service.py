"""The service spillway.v1.Tokenizer of a router: the files of its endpoints, passed through."""

from collections.abc import AsyncIterator
from typing import Any

import grpc

from router.live.callers import Callers
from router.live.hops import HOPS_KEY, read_hops
from router.live.roster import Roster
from router.policy.entitlement import may_see
from wire.spillway.v1 import tokenizer_pb2 as pb
from wire.spillway.v1.tokenizer_pb2_grpc import TokenizerServicer
from wire.status import CallError, bad_field


class TokenizerService(TokenizerServicer):
    """ReadTokenizer, for routers and clients above."""

    def __init__(self, router: str, callers: Callers, roster: Roster) -> None:
        self._router = router
        self._callers = callers
        self._roster = roster

    async def ReadTokenizer(  # noqa: N802 - the wire's name
        self, request: pb.ReadTokenizerRequest, context: Any
    ) -> AsyncIterator[pb.TokenizerPiece]:
        """What the first endpoint that serves the model says."""
        try:
            hops = read_hops(dict(context.invocation_metadata() or ()), self._router)
        except CallError as error:
            error.set_on(context)
            return
        caller = self._callers.of(context.invocation_metadata() or ())
        tenant = self._callers.tenants.get(caller.tenant)
        if not may_see(tenant, request.model):
            denied = grpc.StatusCode.PERMISSION_DENIED
            bad_field("model", "is none that this tenant may ask for", denied).set_on(context)
            return
        endpoints = self._roster.serving(request.model)
        if not endpoints:
            missing = f"no endpoint serves the model {request.model!r}"
            bad_field("model", missing, grpc.StatusCode.NOT_FOUND).set_on(context)
            return
        model = self._roster.served_as(request.model)
        with endpoints[0].calls:
            call = endpoints[0].read_tokenizer(
                pb.ReadTokenizerRequest(model=model, files=request.files),
                timeout=context.time_remaining(),
                metadata=((HOPS_KEY, ",".join((*hops, self._router))),),
            )
            try:
                async for piece in call:
                    yield piece
            except grpc.aio.AioRpcError as error:
                context.set_code(error.code())
                context.set_details(error.details())
            finally:
                call.cancel()
