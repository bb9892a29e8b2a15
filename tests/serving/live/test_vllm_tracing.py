"""vLLM's own spans stand below those of the replica that has it."""

import os
import sys
from pathlib import Path

import grpc
import pytest

from spillway.local.kept import Kept
from tests.collector import collector
from tests.serving.live.conftest import STOP_GRACE_S, wait_for_address
from wire.vllm import inference_pb2, inference_pb2_grpc

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.live
@pytest.mark.slow
async def test_what_vllm_does_for_a_request_is_a_span_below_its_answer(checkpoint, tmp_path):
    """And below its client's; what the prompt was stands in none of them."""
    with collector() as there:
        command = [
            *(sys.executable, "-m", "serving.standalone"),
            *(f"model={checkpoint}", "served_names=[tiny]", f"tracing.endpoint={there.endpoint}"),
        ]
        env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
        env["OTEL_BSP_SCHEDULE_DELAY"] = "100"
        with Kept(command, env, tmp_path / "run", grace_s=STOP_GRACE_S) as kept:
            async with grpc.aio.insecure_channel(wait_for_address(kept)) as channel:
                stub = inference_pb2_grpc.InferenceStub(channel)
                prompt = inference_pb2.TokenIds(ids=[5, 6, 7, 8])
                request = inference_pb2.GenerateRequest(token_ids=prompt, request_id="mine")
                request.stopping.max_new_tokens = 4
                request.stopping.ignore_eos = True
                came = (("traceparent", f"00-{TRACE}-{SPAN}-01"),)
                assert [chunk async for chunk in stub.GenerateStream(request, metadata=came)]
                (answer,) = await there.until_spans(1, spillway_attempt_id="mine")
                await there.until_said(1, {"gen_ai.usage.completion_tokens": 4})
        (own,) = (s for s in there.spans if s.parent == answer.id)
        assert own.name == "llm_request"
        assert (own.trace, answer.parent) == (TRACE, SPAN)
        assert answer.attributes["gen_ai.usage.input_tokens"] == 4
        assert answer.attributes["gen_ai.usage.output_tokens"] == 4
