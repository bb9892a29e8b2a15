"""ORCA of a router: its fleet's load for load balancers of gRPC."""

from tests.router.live.conftest import address, ask, at_rest, engine, route
from tests.trailers import trailers_of
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.reporting import FORMAT_KEY, TRAILER_KEY
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.orca.service_pb2_grpc import OpenRcaServiceStub

WANTED = ((FORMAT_KEY, "BIN"),)


async def test_load_is_told_out_of_band():
    """That of all endpoints together, as it changes."""
    async with (
        engine(itl_s=0.01) as one,
        engine(itl_s=0.01) as other,
        route({"home": [address(one), address(other)]}) as routed,
    ):
        asked = OrcaLoadReportRequest()
        asked.report_interval.nanos = 100_000_000
        call = OpenRcaServiceStub(routed.channel).StreamCoreMetrics(asked)
        assert (await call.read()).named_metrics["num_requests_running"] == 0
        answers = [routed.inference.GenerateStream(ask(max_new_tokens=30_000)) for _ in range(2)]
        for answer in answers:
            await answer.read()
        while (await call.read()).named_metrics["num_requests_running"] != 2:
            pass
        for answer in answers:
            answer.cancel()
        call.cancel()
        await at_rest(routed, one, other)


async def test_load_stands_in_the_trailers_of_who_asks(one):
    """Beside the router's own; and of nobody else's."""
    for method in ("Generate", "GenerateStream"):
        at = (one.router.port, f"/vllm.Inference/{method}", ask())
        trailers = await trailers_of(*at, *WANTED)
        assert trailers["x-spillway-site"] == b"home"
        told = OrcaLoadReport.FromString(trailers[TRAILER_KEY])
        assert told.named_metrics["num_requests_waiting"] == 0
        assert TRAILER_KEY not in await trailers_of(*at)
