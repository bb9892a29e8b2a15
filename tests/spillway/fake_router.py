"""A fake router behind real gRPC: it answers by what the prompt's text asks for."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

from tests.waiting import DEADLINE_S
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc, tokenizer_pb2, tokenizer_pb2_grpc
from wire.vllm import control_pb2, control_pb2_grpc, inference_pb2, inference_pb2_grpc


@dataclass
class FakeRouter(
    inference_pb2_grpc.InferenceServicer,
    fleet_pb2_grpc.FleetServicer,
    control_pb2_grpc.ControlServicer,
    tokenizer_pb2_grpc.TokenizerServicer,
):
    """Answers `count 3` with three tokens, `forever` without end, `fail CODE` with that status."""

    address: str = ""
    models: tuple[str, ...] = ("tiny",)
    tokenizer: Path | None = None  # the folder of every model's
    tokenizers_read: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    metadata: list = field(default_factory=list)
    drained: list = field(default_factory=list)
    claims: list = field(default_factory=list)
    sessions: list = field(default_factory=list)
    asked_sessions: list = field(default_factory=list)
    quarantined: list = field(default_factory=list)
    rollouts: list = field(default_factory=list)
    lent: list = field(default_factory=list)
    reload_problem: str = ""
    open: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def GenerateStream(self, request, context):
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self._count_open(1, context)
        trailers = (("x-spillway-site", "cellar"), ("x-spillway-attempts", "2"))
        context.set_trailing_metadata(
            (*trailers, ("x-spillway-request-id", f"r-{request.request_id}"))
        )
        word, _, argument = request.text.partition(" ")
        if word == "fail":
            self.fail(context, argument)
        count = int(argument) if word == "count" else 1_000_000 if word == "forever" else 2
        for number in range(count):
            last = number == count - 1
            yield response(number, request.sampling.num_sequences or 1, last=last)
            if word == "forever":
                time.sleep(0.005)  # a pace, not a wait

    def _count_open(self, change, context):
        def ended():
            with self.changed:
                self.open -= 1
                self.changed.notify_all()

        with self.changed:
            self.open += 1
            self.changed.notify_all()
        if not context.add_callback(ended):
            ended()

    def wait_until_open(self, count):
        """Until so many streams are open here."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.open == count, DEADLINE_S)

    def fail(self, context, code):
        details = {
            "INVALID_ARGUMENT": BadRequest(
                field_violations=[
                    BadRequest.FieldViolation(field="sampling.top_p", description="is 3")
                ]
            ),
            "RESOURCE_EXHAUSTED": RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000)),
        }.get(code)
        if details is not None:
            packed = AnyMessage()
            packed.Pack(details)
            raw = Status(code=3, message="refused", details=[packed]).SerializeToString()
            context.set_trailing_metadata((("grpc-status-details-bin", raw),))
        context.abort(grpc.StatusCode[code], "refused" if code != "INTERNAL" else "")

    def Explain(self, request, context):
        self.requests.append(request.request)
        return fleet_pb2.Decision(
            action=fleet_pb2.Decision.SEND,
            site="cellar",
            endpoint="cellar/1",
            rule="home_meets",
            reason="home is predicted to meet the objective",
            candidates=[
                fleet_pb2.Candidate(
                    site="cellar",
                    endpoint="cellar/1",
                    ttft_s=0.4,
                    adapter_s=0.25,
                    meets_objective=True,
                ),
                fleet_pb2.Candidate(site="ridge", endpoint="ridge/1", excluded="draining"),
            ],
        )

    def Report(self, request, context):
        self.claims += request.claims
        return fleet_pb2.ReportResponse()

    def Watch(self, request, context):
        while context.is_active():
            yield self._state()
            time.sleep(request.interval_ms / 1000)

    def _state(self):
        shown = state(self.models)
        shown.rollouts.extend(self.rollouts)
        return shown

    def Drain(self, request, context):
        if request.site != "ridge":
            context.abort(grpc.StatusCode.NOT_FOUND, f"no site {request.site}")
        self.drained.append(request.site)
        return fleet_pb2.DrainResponse(open_streams=3)

    def Undrain(self, request, context):
        self.drained.remove(request.site)
        return fleet_pb2.UndrainResponse()

    def Reload(self, request, context):
        if self.reload_problem:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, self.reload_problem)
        key = "sites.cellar.price.metered"
        change = fleet_pb2.Change(key=key, before="3 USD/h", after="4 USD/h")
        return fleet_pb2.ReloadResponse(
            changes=[change], digest="ab" * 32, applied=not request.dry_run
        )

    def Lend(self, request, context):
        if request.site != "cellar":
            context.abort(grpc.StatusCode.NOT_FOUND, f"site: there is no site {request.site!r}")
        self.lent = [
            fleet_pb2.Lent(
                site=request.site, loaned=request.replicas, of=4, reason=request.reason,
                loaned_until_unix_ns=request.until_unix_ns, phase=fleet_pb2.Lent.DRAINING,
                open_streams=3, endpoints=["cellar/1"],
            )
        ]  # fmt: skip
        return self.lent[0]

    def Reclaim(self, request, context):
        left = self.lent[0].loaned - (request.replicas or self.lent[0].loaned)
        self.lent = [fleet_pb2.Lent(site=request.site, loaned=left, of=4)]
        return self.lent[0]

    def ListLent(self, request, context):
        return fleet_pb2.ListLentResponse(lent=self.lent)

    def ListSessions(self, request, context):
        self.asked_sessions.append(request)
        return fleet_pb2.ListSessionsResponse(
            sessions=self.sessions, more=True, total=7, router_id="router-1"
        )

    def ReturnRollout(self, request, context):
        return self._changed_rollout(request.model, request.why, context)

    def ResumeRollout(self, request, context):
        return self._changed_rollout(request.model, "", context)

    def _changed_rollout(self, model, why, context):
        for one in self.rollouts:
            if one.name == model:
                one.returned = why
                one.said = f"taken back: {why}" if why else "it goes on"
                return one
        context.abort(grpc.StatusCode.NOT_FOUND, f"no two versions serve {model}")
        return None

    def ListQuarantine(self, request, context):
        return fleet_pb2.ListQuarantineResponse(quarantined=self.quarantined)

    def ReleaseQuarantine(self, request, context):
        left = [one for one in self.quarantined if one.fingerprint != request.fingerprint]
        if left == self.quarantined:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{request.fingerprint} is not in quarantine")
        self.quarantined = left
        return fleet_pb2.ReleaseQuarantineResponse()

    def ReadTokenizer(self, request, context):
        self.tokenizers_read.append(request.model)
        if self.tokenizer is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no files")
        for name in request.files:
            path = self.tokenizer / name
            content = path.read_bytes() if path.exists() else b""
            for start in range(0, len(content), 100):
                piece = content[start : start + 100]
                yield tokenizer_pb2.TokenizerPiece(file=name, content=piece)

    def GetModelInfo(self, request, context):
        return control_pb2.ModelInfo(served_model_name=self.models[0])


def response(number, sequences, *, last):
    """A chunk of the sequences in turn; each ends with its last."""
    output = inference_pb2.SequenceOutput(
        index=number % sequences, text=f"{number} ", num_tokens=1, token_ids=[number]
    )
    if last:
        output.finish_info.num_output_tokens = number + 1
        output.finish_info.finish_reason = inference_pb2.FinishInfo.STOP
        output.finish_info.stop_string = "!"
    found = inference_pb2.GenerateResponse(outputs=output)
    if number == 0:
        found.prompt_info.num_prompt_tokens = 7
    return found


def state(models):
    """A fleet of two sites; the second drains."""
    more = models[1:]
    endpoint = fleet_pb2.EndpointState(
        name="cellar/1", address="10.0.0.5:40000", health=fleet_pb2.EndpointState.UP, in_flight=2,
        model=models[0] if models else "", rtt_s=0.002, tokens_per_s=81.0,
    )  # fmt: skip
    return fleet_pb2.FleetState(
        router_id="router-1",
        sessions=5,
        open_streams=2,
        sites=[
            fleet_pb2.SiteState(
                name="cellar", kind=fleet_pb2.SiteState.HOME, turns=12, sessions=4, open_streams=2,
                endpoints=[endpoint], ttft_s_p50=0.21, ttft_s_p99=0.9,
            ),
            fleet_pb2.SiteState(
                name="ridge", kind=fleet_pb2.SiteState.RENTED, draining=True, cost_usd=1.5,
                endpoints=[fleet_pb2.EndpointState(name=f"ridge/{one}", model=one) for one in more],
            ),
        ],
    )  # fmt: skip


@contextmanager
def serving(router: FakeRouter, *, fleet: bool = True) -> Iterator[FakeRouter]:
    """The fake on a port of its own; without `fleet` it is a replica."""
    server = grpc.server(ThreadPoolExecutor(16))
    inference_pb2_grpc.add_InferenceServicer_to_server(router, server)
    control_pb2_grpc.add_ControlServicer_to_server(router, server)
    tokenizer_pb2_grpc.add_TokenizerServicer_to_server(router, server)
    if fleet:
        fleet_pb2_grpc.add_FleetServicer_to_server(router, server)
    router.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield router
    finally:
        server.stop(None).wait(DEADLINE_S)
