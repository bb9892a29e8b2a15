"""Plays the acts of `acts.py` on a real engine, chosen as a site's config chooses it.

Usage: python -m tests.kernels.vllm_backend.play [attention backend]; prints one line of JSON.
"""

import asyncio
import json
import sys
from itertools import chain

from prometheus_client import REGISTRY

from serving.engines import start_engine
from serving.request import read_request
from serving.settings import read_settings
from tests.kernels.vllm_backend.acts import ACTS, BLOCK_SIZE, Act
from wire.vllm import inference_pb2 as pb

ENGINE = {
    "block_size": BLOCK_SIZE,
    "max_num_seqs": 4,
    "max_num_batched_tokens": 80,  # longer prompts come in chunks, beside others' decode rows
    "num_gpu_blocks_override": 14,  # four long sequences do not fit: one is preempted
    "disable_log_stats": False,  # preemptions are told to Prometheus only
}


async def play(attention: str | None) -> dict[str, object]:
    """Every act's tokens, and what the engine says of itself."""
    vllm = {"max_model_len": 320, "arguments": ENGINE}
    if attention is not None:
        vllm["attention_backend"] = attention
    engine = await start_engine(read_settings({"model": "built-in", "vllm": vllm}))
    try:
        answers = {}
        for act in ACTS:
            prompts = (_tokens(engine, act, prompt) for prompt in act.prompts)
            answers[act.name] = await asyncio.gather(*prompts)
        return {
            "attention": engine.info.attention_backend,
            "version": engine.info.version,
            "answers": answers,
            "hit_tokens": engine.load().prefix_hit_tokens,
            "preemptions": REGISTRY.get_sample_value(
                "vllm:num_preemptions_total", {"model_name": "built-in", "engine": "0"}
            ),
        }
    finally:
        await engine.shutdown()


async def _tokens(engine, act: Act, prompt: str) -> list[int]:
    request = pb.GenerateRequest(
        text=prompt,
        temperature=0,
        stopping=pb.StoppingCriteria(max_new_tokens=act.new_tokens),
    )
    generation = read_request(request, engine.info, session_id="")
    parts = [part.token_ids async for part in engine.generate(generation)]
    return list(chain.from_iterable(parts))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(play(*(sys.argv[1:] or [None])))) + "\n")
