"""A replica that says who it is and reports its load, behind real gRPC in threads."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from tests.waiting import DEADLINE_S
from wire.spillway.v1 import load_pb2, load_pb2_grpc
from wire.vllm import control_pb2, control_pb2_grpc

BULK_MAX = 16 * 1024 * 1024


@dataclass
class ReportingReplica(control_pb2_grpc.ControlServicer, load_pb2_grpc.LoadServicer):
    """Its clock is `ahead_s` ahead of ours."""

    address: str = ""
    model: str = "tiny"
    weights: str = "w1"
    ahead_s: float = 0.0
    received_bytes: int = 0

    def GetModelInfo(self, request, context):
        self.received_bytes = max(self.received_bytes, request.ByteSize())
        return control_pb2.ModelInfo(served_model_name=self.model)

    def GetServerInfo(self, request, context):
        return control_pb2.ServerInfo(engine_version="fake 1.0", instance_id="i1")

    def Watch(self, request, context):
        first = True
        while context.is_active():
            report = load_pb2.LoadReport(
                instance_id="i1",
                sampled_unix_ns=time.time_ns() + round(self.ahead_s * 1e9),
                max_running_requests=8,
                kv_tokens_max=4096,
            )
            if first:
                report.identity.weights_digest = self.weights
                report.identity.tokenizer_digest = "t1"
            first = False
            yield report
            time.sleep(request.max_silence_ms / 1000)  # a pace, not a wait


@contextmanager
def serving(replica: ReportingReplica) -> Iterator[ReportingReplica]:
    """On a port of its own."""
    options = (("grpc.max_receive_message_length", BULK_MAX),)
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    control_pb2_grpc.add_ControlServicer_to_server(replica, server)
    load_pb2_grpc.add_LoadServicer_to_server(replica, server)
    replica.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield replica
    finally:
        server.stop(None).wait(DEADLINE_S)
