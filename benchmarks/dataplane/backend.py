"""A paced backend: a server of vllm.Inference that answers by the clock and computes nothing.

`python -m benchmarks.dataplane.backend --interval-ms 20 --shape spread` prints its port and serves
until its standard input closes. The first message of a stream is sent at once, so that a stream's
TTFT is nothing but what stands between client and backend.
"""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import grpc.aio

from benchmarks.dataplane.process import serve_until_stdin_closes
from wire.vllm import control_pb2, inference_pb2

MODEL = "paced"


class Pace:
    """When the messages of a stream are due, on the event loop's clock.

    `spread`: each stream has its own grid, begun by its first message. `bursts`: all streams share
    one grid, as the steps of an engine make it. An interval of 0 is a saturated stream.
    """

    def __init__(self, interval_s: float, shape: str) -> None:
        self.interval_s = interval_s
        self._shared = shape == "bursts"

    def first_due(self, now: float) -> float:
        """The time of the message after the first."""
        if not self._shared:
            return now + self.interval_s
        return (now // self.interval_s + 1) * self.interval_s


class Backend(grpc.GenericRpcHandler):
    """Answers by raw bytes: one serialised message, sent as often as the request asks for."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._message = inference_pb2.GenerateResponse(
            outputs=inference_pb2.SequenceOutput(text=" 417", num_tokens=1, token_ids=[417])
        ).SerializeToString()
        info = control_pb2.ModelInfo(model_id=MODEL, served_model_name=MODEL)
        self._model_info = info.SerializeToString()
        self._server_info = control_pb2.ServerInfo(
            engine_version="paced", instance_id=f"paced-{time.time_ns()}", max_running_requests=4096
        ).SerializeToString()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of a method; None where there is none, which answers UNIMPLEMENTED."""
        match details.method:
            case "/vllm.Inference/GenerateStream":
                return grpc.unary_stream_rpc_method_handler(self._stream)
            case "/vllm.Control/GetModelInfo":
                return grpc.unary_unary_rpc_method_handler(self._get_model_info)
            case "/vllm.Control/GetServerInfo":
                return grpc.unary_unary_rpc_method_handler(self._get_server_info)
            case _:
                return None

    async def _stream(self, raw: bytes, _context: object) -> AsyncIterator[bytes]:
        count = inference_pb2.GenerateRequest.FromString(raw).stopping.max_new_tokens or 20
        message, interval_s = self._message, self._pace.interval_s
        yield message
        if interval_s == 0:
            for _ in range(count - 1):
                yield message
            return
        loop = asyncio.get_running_loop()
        due = self._pace.first_due(loop.time())
        for _ in range(count - 1):
            await asyncio.sleep(due - loop.time())
            yield message
            due += interval_s

    async def _get_model_info(self, _raw: bytes, _context: object) -> bytes:
        return self._model_info

    async def _get_server_info(self, _raw: bytes, _context: object) -> bytes:
        return self._server_info


async def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.backend")
    parser.add_argument("--interval-ms", type=float, default=20.0)
    parser.add_argument("--shape", choices=("spread", "bursts"), default="spread")
    options = parser.parse_args()
    pace = Pace(options.interval_ms / 1000, options.shape)
    await serve_until_stdin_closes(Backend(pace))


if __name__ == "__main__":
    asyncio.run(main())
