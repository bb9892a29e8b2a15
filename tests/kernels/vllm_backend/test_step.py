"""Plans of a step: batch invariance, launches that a captured graph can replay, refusals.

It runs in a process of its own, since importing vLLM is a GB and ten seconds.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow]

SCRIPT = """
import contextlib
import torch
from kernels.mixed import StepShape
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.testing import make_case, patched_interpreter, reference_paged_attention
from kernels.vllm_backend.step import EngineLimits, Planner

SPEC = AttentionSpec(4, 2, 64, 0.125, 16, torch.float32)

repairs = contextlib.ExitStack()
repairs.enter_context(patched_interpreter())  # for as long as the process lives

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
# A captured graph replays the launches of its size: lengths must not change which those are.
LIMITS = EngineLimits(16, 1, 1024, share_prefixes=True, shared_overhead_bytes=0)
sharing = Planner(SPEC, LIMITS, CPU)

def planned(planner, case):
    rows = len(case.seq_lens)
    return planner.plan(*case.tensors[2:], StepShape(rows, rows, 1, 1, int(case.seq_lens.max())))

long = make_case(SPEC, [1] * 9, [280] * 9, shared_blocks=16)
short = make_case(SPEC, [1] * 9, [1] * 9)
few = make_case(SPEC, [1] * 7, [280] * 7, shared_blocks=16)
plan = planned(sharing, long)
assert plan.plan.decode.skipped.skip_lens.any()
out = torch.full_like(long.q, torch.nan)
plan.attend(long.layer(out))
expected, _ = reference_paged_attention(*long.tensors, SPEC)
torch.testing.assert_close(out.double(), expected, atol=1e-5, rtol=1e-5)
assert planned(sharing, short).plan.decode is plan.plan.decode
assert planned(sharing, few).plan.decode is plan.plan.decode.suffix
windowed = Planner(replace(SPEC, sliding_window=64), LIMITS, CPU)
assert planned(windowed, replace(long, spec=replace(SPEC, sliding_window=64))).plan.decode.heads
print("right")
"""


def test_plans_keep_what_the_backend_promises():
    """A token's bits decoded or in any chunk; the same launches for a size; refusals by name."""
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "TRITON_INTERPRET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout.endswith("right\n"), done.stderr[-3000:]
