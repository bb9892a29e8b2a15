"""Dynamo's offline replay of a Mooncake trace, for whoever has it installed: figures as JSON.

    PYTHON dynamo_replay.py TRACE.jsonl WORKERS BLOCK_TOKENS SPEED ROUTER [CHOICES.json]

PYTHON is that of an environment with ai_dynamo_runtime 1.6.1 (Spillway is not needed there), ROUTER
is `round_robin` or `kv_router`. The worker's cache holds 1,048,576 tokens, as by default.
CHOICES.json, where given, gets where each request went and what came of it.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

KV_TOKENS = 1_048_576


def main() -> None:
    """Replay once and print the figures as the last line."""
    os.environ.setdefault("DYN_LOG", "error")
    # Dynamo reads DYN_LOG as it loads, and has no types.
    from dynamo._core import (  # type: ignore[import-not-found]  # noqa: PLC0415
        run_mocker_trace_replay,
    )

    trace, workers, block_tokens, speed, router, *choices = sys.argv[1:]
    began_s = time.process_time()
    result = run_mocker_trace_replay(
        [trace],
        extra_engine_args={
            "engine": {
                "block_size": int(block_tokens),
                "num_gpu_blocks": KV_TOKENS // int(block_tokens),
            }
        },
        num_workers=int(workers),
        router_mode=router,
        trace_block_size=512,
        arrival_speedup_ratio=float(speed),
        capture_per_request=bool(choices),
    )
    cpu_s = time.process_time() - began_s
    summary = result.summary
    figures = {
        "requests": summary["completed_requests"],
        # Loading the trace is not counted by its own wall time; on a busy machine CPU is the less.
        "seconds": min(cpu_s, summary["wall_time_ms"] / 1000),
        "ttft_mean_ms": summary["mean_ttft_ms"],
        "ttft_p95_ms": summary["p95_ttft_ms"],
        "hit_share": summary["first_admission_prefix_cache_reused_ratio"],
    }
    if choices:
        Path(choices[0]).write_text(json.dumps([choice_of(one) for one in result.per_request]))
    print(json.dumps(figures))


def choice_of(request: dict[str, Any]) -> dict[str, float]:
    """What benchmarks.routing.followed reads of a request's record."""
    return {
        "at_ms": request["arrival_time_ms"],
        "prompt_tokens": request["input_length"],
        "output_tokens": request["output_length"],
        "worker": request["routing_history"][0]["logical_worker_id"],
        "ttft_ms": request["ttft_ms"],
        "cached_tokens": request["reused_input_tokens"],
    }


if __name__ == "__main__":
    main()
