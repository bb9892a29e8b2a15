"""One endpoint, asked once: who it is, what it holds, how far away it is, what its clock says."""

import asyncio
import contextlib
import time
from dataclasses import dataclass

import grpc
from grpc_health.v1.health_pb2_grpc import HealthStub

from router.live.channel import Dialler
from router.live.identity import Identity, NotVllmError, identify
from router.live.load_watch import identity_of
from router.live.probe import probe
from router.policy.identity import UNKNOWN, EngineIdentity
from wire.spillway.v1 import load_pb2
from wire.spillway.v1.load_pb2_grpc import LoadStub

ASK_S = 5.0  # for one answer
PROBES = 5  # round trips, of which the shortest counts
REPORTS = 4  # of which the one that was soonest here tells the clock
REPORT_INTERVAL_MS = 50  # between two of an idle endpoint, asked for
BULK_BYTES = 1024 * 1024  # sent to measure the way there; a router accepts sixteen times that
BULKS = 2  # of which the quicker counts
BULK_HEAD = (
    b"\x7a\x80\x80\x40"  # field 15, of this length: whoever reads it knows none, and skips it
)


@dataclass(frozen=True, slots=True)
class EndpointFound:
    """What one endpoint answered. Times in nanoseconds."""

    address: str
    why_not: str = ""  # why it was not reached; empty where it was
    identity: Identity | None = None
    engine: EngineIdentity = UNKNOWN
    report: load_pb2.LoadReport | None = None  # None: it gives no load reports
    rtt_ns: int = 0
    clock_ahead_ns: int | None = None  # of ours; off by half a round trip at most
    upload_bytes_per_s: float | None = None

    @property
    def reached(self) -> bool:
        """Whether it said who it is."""
        return not self.why_not


async def ask_endpoint(
    dialler: Dialler, address: str, ask_s: float = ASK_S, *, bulk: bool = False
) -> EndpointFound:
    """Ask it all; `bulk` measures how fast bytes go there, which takes `BULKS` MiB of the way.

    What it takes is bounded by a few times `ask_s`; nothing is generated.
    """
    channel = dialler.open(address).channel
    try:
        async with asyncio.timeout(4 * ask_s):
            identity = await identify(channel, ask_s)
            rtt_ns = await _round_trip_ns(channel, ask_s)
            report, engine, clock_ahead_ns = await _load(channel, rtt_ns, ask_s)
            upload = await _upload(channel, rtt_ns, ask_s) if bulk else None
    except grpc.aio.AioRpcError as error:
        return EndpointFound(address, why_not=_why(error))
    except NotVllmError:
        return EndpointFound(address, why_not="what answers there is no server of vllm.Control")
    except TimeoutError:
        return EndpointFound(address, why_not=f"it does not answer within {4 * ask_s:.0f} s")
    finally:
        await channel.close()
    return EndpointFound(address, "", identity, engine, report, rtt_ns, clock_ahead_ns, upload)


async def _round_trip_ns(channel: grpc.aio.Channel, ask_s: float) -> int:
    check = HealthStub(channel).Check
    answers = [await probe(check, ask_s) for _ in range(PROBES)]
    return min((one.rtt_ns for one in answers if one.rtt_ns is not None), default=0)


async def _load(
    channel: grpc.aio.Channel, rtt_ns: int, ask_s: float
) -> tuple[load_pb2.LoadReport | None, EngineIdentity, int | None]:
    """Its first report with its identity, and how far its clock is ahead of ours.

    A report says when it was made; it was so half a round trip ago at least. What was held up on
    its way makes the clock seem slow, so the report that says the most counts.
    """
    call = LoadStub(channel).Watch(
        load_pb2.WatchLoadRequest(max_silence_ms=REPORT_INTERVAL_MS), timeout=ask_s
    )
    first: load_pb2.LoadReport | None = None
    engine, ahead_ns = UNKNOWN, None
    try:
        for _ in range(REPORTS):
            report = await call.read()
            if report is grpc.aio.EOF or report is None:
                break
            if report.sampled_unix_ns:
                seen_ns = report.sampled_unix_ns - time.time_ns() + rtt_ns // 2
                ahead_ns = seen_ns if ahead_ns is None else max(ahead_ns, seen_ns)
            if report.HasField("identity"):
                engine = identity_of(report.identity)
            first = first or report
    except grpc.aio.AioRpcError:  # it has no load reports, or breaks off
        pass
    finally:
        call.cancel()
    return first, engine, ahead_ns


async def _upload(channel: grpc.aio.Channel, rtt_ns: int, ask_s: float) -> float | None:
    """Bytes a second on the way there: a question with an answer of a few bytes, made large."""
    ask = channel.unary_unary("/vllm.Control/GetModelInfo")
    request = BULK_HEAD + bytes(BULK_BYTES)
    took_ns = []
    for _ in range(BULKS):
        begun_ns = time.monotonic_ns()
        with contextlib.suppress(grpc.aio.AioRpcError):
            await ask(request, timeout=ask_s)
        took_ns.append(time.monotonic_ns() - begun_ns)
    way_ns = min(took_ns) - rtt_ns
    return BULK_BYTES * 1e9 / way_ns if way_ns > 0 and min(took_ns) < ask_s * 1e9 else None


def _why(error: grpc.aio.AioRpcError) -> str:
    """What gRPC found, in a line."""
    details = " ".join((error.details() or "").split())
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "it does not answer"
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return "what answers there is no server of vllm.Control"
    return details[-300:] or error.code().name
