"""What a stream from an endpoint comes to, as the router is told of its lease."""

import grpc

from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.vllm.inference_pb2 import GenerateResponse


class LeaseAccount:
    """The messages, tokens and times of one stream. Times are seconds of any clock."""

    def __init__(self, lease: str, begun_s: float) -> None:
        self._lease = lease
        self._begun_s = begun_s
        self._ttft_s = 0.0
        self._messages = 0
        self._output_tokens = 0
        self.is_complete = False
        """Whether the last message has come."""
        self.broken: LeaseClaim.End = LeaseClaim.BROKE_OFF
        """The end of which the router is told, should it be asked for the rest."""

    def add(self, response: GenerateResponse, now_s: float) -> None:
        """A message came."""
        if not self._messages:
            self._ttft_s = now_s - self._begun_s
        self._messages += 1
        self._output_tokens += response.outputs.num_tokens
        self.is_complete = response.outputs.HasField("finish_info")

    def fail(self, code: grpc.StatusCode) -> None:
        """The call failed: refused where nothing had come, unless nobody was there to refuse it."""
        if not self._messages and code is not grpc.StatusCode.UNAVAILABLE:
            self.broken = LeaseClaim.REFUSED

    def claim(self, end: LeaseClaim.End, now_s: float) -> LeaseClaim:
        """What the router is told after this end."""
        return LeaseClaim(
            lease=self._lease,
            end=end,
            messages=self._messages,
            output_tokens=self._output_tokens,
            ttft_s=self._ttft_s,
            duration_s=now_s - self._begun_s,
        )
