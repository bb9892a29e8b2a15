"""Plans of a step: the backend's promise of batch invariance, and what it refuses.

It runs in a process of its own, since importing vLLM is a GB and ten seconds.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

SCRIPT = """
import torch
from kernels.mixed import StepShape
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.testing import make_case
from kernels.vllm_backend.step import EngineLimits, Planner

SPEC = AttentionSpec(4, 2, 64, 0.125, 16, torch.float32)

INVARIANT = EngineLimits(8, 1, 1024, batch_invariant=True)
CPU = torch.device("cpu")

def attend(case, query_lens, seq_lens):
    planner = Planner(SPEC, INVARIANT, CPU)
    shape = StepShape(sum(query_lens), len(query_lens), min(query_lens), max(query_lens),
                      max(seq_lens))
    starts = torch.tensor([0, *query_lens]).cumsum(0).to(torch.int32)
    lengths = torch.tensor(seq_lens, dtype=torch.int32)
    plan = planner.plan(case.block_table, lengths, starts, shape)
    out = torch.full_like(case.q, torch.nan)
    plan.attend(case.layer(out))
    return out

from dataclasses import replace
# 40 tokens of a sequence as a chunk beside another row, and then each part of it by itself.
case = make_case(SPEC, [40, 3], [75, 30])
case = replace(case, kv_cache=case.kv_cache.nan_to_num(nan=0.0))
together = attend(case, [40, 3], [75, 30])
for first, last in ((0, 1), (1, 18), (18, 39), (39, 40)):
    part = replace(case, q=case.q[first:last], block_table=case.block_table[:1])
    alone = attend(part, [last - first], [35 + last])
    assert torch.equal(alone, together[first:last]), (first, last)

def refused(spec, limits, reason):
    try:
        Planner(spec, limits, CPU)
    except UnsupportedAttentionError as error:
        assert reason in str(error)
    else:
        raise AssertionError(f"{reason} was accepted")

refused(replace(SPEC, dtype=torch.bfloat16), EngineLimits(8, 1, 1024), "bfloat16")
refused(SPEC, replace(INVARIANT, share_prefixes=True), "shared_prefix")
print("invariant")
"""


def test_a_token_has_the_same_bits_decoded_or_in_any_chunk():
    """Batch invariance, and refusal of bf16 in the interpreter as it comes."""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout.endswith("invariant\n"), done.stderr[-3000:]
