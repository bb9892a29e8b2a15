"""The service vllm.Control of a router: its fleet as one server, and the end of requests."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import grpc

from router.live.callers import Callers
from router.live.host_feed import HostFeed
from router.live.identity import Identity
from router.live.inference import Inference
from router.live.roster import Roster
from router.policy.entitlement import may_see
from router.policy.fleet import Tenant
from wire.vllm import control_pb2 as pb
from wire.vllm.control_pb2_grpc import ControlServicer

_ABORT_TIMEOUT_S: Final = 5.0


class Control(ControlServicer):
    """GetServerInfo, GetModelInfo and Abort; other methods of the API answer UNIMPLEMENTED."""

    def __init__(
        self,
        router: str,
        callers: Callers,
        roster: Roster,
        inference: Inference,
        feed: HostFeed | None,
    ) -> None:
        """`feed` takes what is another worker's to do."""
        self._feed = feed
        self._router = router
        self._callers = callers
        self._roster = roster
        self._inference = inference

    async def GetServerInfo(self, request: pb.GetServerInfoRequest, context: Any) -> pb.ServerInfo:  # noqa: N802 - the wire's name
        """The sizes of all endpoints together; what cannot be added is the first one's."""
        _ = request
        known = self._known(context)
        if not known:
            return pb.ServerInfo()
        servers = [identity.server for identity in known]
        first = servers[0]
        return pb.ServerInfo(
            engine_version=first.engine_version,
            api_version=first.api_version,
            instance_id=self._router,
            max_model_len=max(server.max_model_len for server in servers),
            kv_block_size=first.kv_block_size,
            total_kv_blocks=sum(server.total_kv_blocks for server in servers),
            max_running_requests=sum(server.max_running_requests for server in servers),
            max_batched_tokens=sum(server.max_batched_tokens for server in servers),
            max_loras=max(server.max_loras for server in servers),
            effective_attention_block_size=first.effective_attention_block_size,
        )

    async def GetModelInfo(self, request: pb.GetModelInfoRequest, context: Any) -> pb.ModelInfo:  # noqa: N802 - the wire's name
        """The first endpoint's model; every other name that may be asked for is an alias."""
        _ = request
        caller = self._callers.of(context.invocation_metadata() or ())
        tenant = self._callers.tenants.get(caller.tenant)
        theirs = [(one, self._seen(one, tenant)) for one in self._known(context)]
        known = [(identity, names) for identity, names in theirs if names]
        if not known:
            context.set_code(grpc.StatusCode.UNAVAILABLE)
            context.set_details("no endpoint is connected")
            return pb.ModelInfo()
        info = pb.ModelInfo()
        info.CopyFrom(known[0][0].model)
        names = dict.fromkeys(name for _, served in known for name in served)
        if not may_see(tenant, info.model_id):
            info.ClearField("model_id")
        info.served_model_name, *aliases = names
        info.served_model_aliases[:] = aliases
        return info

    async def Abort(self, request: pb.AbortRequest, context: Any) -> pb.AbortResponse:  # noqa: N802 - the wire's name
        """Passed on to where each request runs; an id that runs nowhere is no error."""
        caller = self._callers.of(context.invocation_metadata() or ())
        own = [caller.own(request_id) for request_id in request.request_ids]
        if self._feed is not None:
            here = self._inference.running_at
            self._feed.abort(one for one in own if here(one) is None)
        await abort(self._roster, self._inference, own)
        return pb.AbortResponse()

    def _known(self, context: Any) -> Sequence[Identity]:
        """Who the connected endpoints are; with none, the call gets UNAVAILABLE."""
        followers = [endpoint.follower for endpoint in self._roster]
        known = [f.identity for f in followers if f.connected and f.identity is not None]
        if not known:
            context.set_code(grpc.StatusCode.UNAVAILABLE)
            context.set_details("no endpoint is connected")
        return known

    def _seen(self, identity: Identity, tenant: Tenant | None) -> Sequence[str]:
        names = self._roster.names.beside(identity.names)
        return [name for name in names if may_see(tenant, name)]


async def abort(roster: Roster, inference: Inference, request_ids: Iterable[str]) -> None:
    """Ends the requests with these ids of their callers' at the endpoints where they run."""
    ids_by_name: defaultdict[str, list[str]] = defaultdict(list)
    for request_id in request_ids:
        running = inference.running_at(request_id)
        if running is not None:
            name, attempt_id = running
            ids_by_name[name].append(attempt_id)
    endpoints = ((roster.open_at(name), ids) for name, ids in ids_by_name.items())
    await asyncio.gather(*(e.abort(ids, _ABORT_TIMEOUT_S) for e, ids in endpoints if e))
