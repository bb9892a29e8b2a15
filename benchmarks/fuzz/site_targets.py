"""What sites say: dashboards, load reports, events of a cache, statuses, frames of a link."""

import json
import random
from typing import Final

import grpc

from benchmarks.fuzz.target import Target
from router.faces.openai.errors import of_call
from router.live.address import split_address
from router.live.load_watch import identity_of, to_core
from router.live.ray_dashboard import NOT_AN_ANSWER, grpc_targets
from router.policy.core import RouterCore
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.request import Request
from router.policy.units import NS_PER_S
from serving.kv_events import NOT_EVENTS, PrefixFollower
from spillway.client.errors import retry_after_s_of
from wire.malformed import Malformed, read
from wire.spillway.v1.load_pb2 import LoadReport
from wire.status import DETAILS_KEY, CallError

_TARGETS: Final = {
    "target_groups": [
        {"protocol": "gRPC", "app_name": "a", "targets": [{"ip": "10.0.0.5", "port": 9000}]}
    ]
}
_SLO: Final = SloClass("chat", ttft_ns=NS_PER_S, itl_ns=NS_PER_S)
_EVENTS: Final = [
    {
        "type": "BlockStored",
        "block_hashes": [1],
        "token_ids": list(range(16)),
        "block_size": 16,
        "parent_block_hash": None,
        "medium": "GPU",
    },
    {"type": "BlockRemoved", "block_hashes": [1], "medium": "GPU"},
    {"type": "AllBlocksCleared"},
]


def a_dashboard(raw: bytes) -> None:
    """What a Ray dashboard answers."""
    try:
        for target in grpc_targets(json.loads(raw), None, None):
            split_address(target)
    except NOT_AN_ANSWER:
        return


class _Reports:
    """A core that hears reports, and decides by what it heard."""

    def __init__(self) -> None:
        self._core = RouterCore(Fleet((Site("home", SiteKind.HOME),), (_SLO,), "chat"))
        self._core.on_endpoint_up(Endpoint("home/a", "home", "m"), 0)
        self._now = 0
        self._rng = random.Random(0)

    def hear(self, raw: bytes) -> None:
        """A load report, with forecasts, prefixes and accounts of leases."""
        report = read(LoadReport, raw)
        if isinstance(report, Malformed):
            return
        self._now += NS_PER_S // 100
        identity_of(report.identity)
        self._core.on_load(to_core("home/a", report, "r"), self._now)
        self._core.explain(Request("r", "m", prompt_tokens=100), self._now, self._rng)


def cache_events(raw: bytes) -> None:
    """Events of an engine's cache, which are of this machine, in the shapes that they may have."""
    try:
        PrefixFollower(100).read(json.loads(raw))
    except (*NOT_EVENTS, RecursionError):
        return


def a_status(raw: bytes) -> None:
    """The details of an endpoint's error, which a router and a client read."""
    retry_after_s_of(((DETAILS_KEY, raw),))
    for code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT):
        told = of_call(CallError(code, "why", ((DETAILS_KEY, raw),)), "prompt")
        if not 400 <= told.status < 600:
            raise AssertionError(f"is told {told.status}")


def _report() -> bytes:
    report = LoadReport(
        instance_id="i", sequence=1, running_requests=2, kv_usage=0.5, ttft_s=0.1, itl_s=0.01
    )
    report.prefix.added[:] = [1, 2]
    report.identity.weights_digest = "w"
    report.gateway.forecasts.add(uncached_tokens=1, ttft_s=0.1)
    report.accounts.add()
    return report.SerializeToString()


TARGETS: Final = (
    Target("dashboard", a_dashboard, [json.dumps(_TARGETS).encode()], [b"null", b"[]", b"{}"]),
    Target("load-report", _Reports().hear, [_report()]),
    Target(
        "cache-events",
        cache_events,
        [json.dumps(_EVENTS).encode()],
        [b"null", b"[]", b'"lora_name":"x"'],
    ),
    Target(
        "status", a_status, [b"\x08\x08\x12\x03why"], [b"type.googleapis.com/google.rpc.BadRequest"]
    ),
)
