"""ORCA of a replica over real gRPC, before a fake engine."""

import grpc
import pytest

from tests.serving.conftest import ask, rest, up_to
from tests.trailers import trailers_of
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.reporting import FORMAT_KEY, TRAILER_KEY
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.orca.service_pb2_grpc import OpenRcaServiceStub

WANTED = ((FORMAT_KEY, "BIN"),)


async def test_load_is_told_out_of_band(slow):
    """At once, and again as it changes."""
    asked = OrcaLoadReportRequest()
    asked.report_interval.nanos = 100_000_000
    call = OpenRcaServiceStub(slow.channel).StreamCoreMetrics(asked)
    assert (await call.read()).named_metrics["num_requests_running"] == 0
    answer = slow.inference.GenerateStream(ask(stopping=up_to(30_000)))
    await answer.read()
    while (await call.read()).named_metrics["num_requests_running"] != 1:
        pass
    answer.cancel()
    call.cancel()


async def test_load_stands_in_the_trailers_of_who_asks(served):
    """Of streams, of whole answers and of refusals; and of nobody else's."""
    for method in ("Generate", "GenerateStream"):
        for request in (ask(stopping=up_to(2)), ask("")):
            at = (served.server.port, f"/vllm.Inference/{method}", request)
            told = OrcaLoadReport.FromString((await trailers_of(*at, *WANTED))[TRAILER_KEY])
            assert set(told.named_metrics) >= {"num_requests_running", "kv_cache_usage_perc"}
            assert TRAILER_KEY not in await trailers_of(*at)


async def test_a_dead_engine_ends_the_reports(served):
    """UNAVAILABLE, and no report that is none."""
    call = OpenRcaServiceStub(served.channel).StreamCoreMetrics(OrcaLoadReportRequest())
    await call.read()
    served.engine.die()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rest(call)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
