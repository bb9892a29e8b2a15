"""The kernels that ours are compared with, each found here or named as missing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.kernels.timing_problem import Problem
from benchmarks.kernels.vllm_unified import UnifiedKernelMissingError, load_unified_attention

#: vLLM's own numbers for splitting a decode batch along the keys.
SEGMENTS, SEQ_THRESHOLD = 16, 16


#: Returns its result `[tokens, Hq, D]`, or None where it writes to the output it was made with.
Launch = Callable[[], torch.Tensor | None]


@dataclass(frozen=True, slots=True)
class Rival:
    """One rival.

    Attributes:
        name: as the table shows it.
        missing: why it cannot run here, or nothing.
        launch: makes a launch for a problem and an output; None where it does not do the problem.
    """

    name: str
    missing: str
    launch: Callable[[Problem, torch.Tensor], Launch | None]


def find_rivals(device: str, fa3: Path | None, vllm: Path | None) -> list[Rival]:
    """All rivals, in the order of the table's columns.

    Args:
        device: "cuda", or "cpu", where none can be timed.
        fa3: FlashAttention-3's library, `_vllm_fa3_C.abi3.so` of vLLM's wheel, or None.
        vllm: the folder `vllm` of an unpacked wheel, or None for the installed one.
    """
    no_gpu = "" if device == "cuda" else "needs a GPU"
    return [
        Rival("cuDNN", no_gpu, lambda p, _out: _sdpa(p, SDPBackend.CUDNN_ATTENTION)),
        Rival("flash", no_gpu, lambda p, _out: _sdpa(p, SDPBackend.FLASH_ATTENTION)),
        Rival("flex", no_gpu, lambda p, _out: _flex(p)),
        _unified(no_gpu, vllm),
        Rival("FA3", _load_fa3(fa3) or no_gpu, _fa3),
    ]


def _dense(problem: Problem) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
    """Q, K and V `[1, heads, tokens, D]` of a single whole prompt; None for other problems."""
    shape = problem.shape
    if not shape.is_prompt or shape.window or len(shape.seq_lens) > 1:
        return None
    tokens = problem.kv_cache[problem.block_table[0].long()].transpose(1, 2).flatten(0, 1)
    keys, values = (
        part[: shape.seq_lens[0]].transpose(0, 1)[None].contiguous()
        for part in tokens.chunk(2, dim=2)
    )
    return problem.q.transpose(0, 1)[None].contiguous(), keys, values


def _sdpa(problem: Problem, backend: SDPBackend) -> Launch | None:
    dense = _dense(problem)
    if dense is None:
        return None

    def launch() -> torch.Tensor:
        with sdpa_kernel(backend):
            result = scaled_dot_product_attention(*dense, is_causal=True, enable_gqa=True)
        return result[0].transpose(0, 1)

    return launch


def _flex(problem: Problem) -> Launch | None:
    dense = _dense(problem)
    if dense is None:
        return None
    from torch.nn.attention.flex_attention import (  # noqa: PLC0415 - it needs a compiler
        create_block_mask,
        flex_attention,
    )

    tokens = problem.shape.seq_lens[0]
    mask = create_block_mask(lambda _b, _h, q, k: q >= k, None, None, tokens, tokens)
    compiled: Any = torch.compile(flex_attention)

    return lambda: compiled(*dense, block_mask=mask, enable_gqa=True)[0].transpose(0, 1)


def _halves(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """K and V `[num_blocks, block, Hkv, D]`, as views."""
    keys, values = problem.kv_cache.transpose(1, 2).chunk(2, dim=3)
    return keys, values


def _unified(no_gpu: str, vllm: Path | None) -> Rival:
    try:
        attention = load_unified_attention(vllm).unified_attention
    except UnifiedKernelMissingError as error:
        return Rival("vLLM Triton", str(error), lambda _p, _out: None)

    def make(problem: Problem, out: torch.Tensor) -> Launch:
        spec, rows = problem.spec, len(problem.seq_lens)
        segments = (SEQ_THRESHOLD, spec.num_q_heads, SEGMENTS)
        keys, values = _halves(problem)
        scratch = [
            torch.empty(shape, device=out.device)
            for shape in ((*segments, spec.padded_head_dim), segments, segments)
        ]
        scales = torch.ones(rows, spec.num_kv_heads, device=out.device)
        descale = None if spec.kv_dtype == "same" else scales
        return lambda: attention(  # it returns nothing and writes to out
            q=problem.q,
            k=keys,
            v=values,
            out=out,
            cu_seqlens_q=problem.query_start_loc,
            max_seqlen_q=max(problem.shape.query_lens),
            seqused_k=problem.seq_lens,
            max_seqlen_k=max(problem.shape.seq_lens),
            softmax_scale=spec.scale,
            causal=True,
            window_size=(spec.sliding_window - 1, 0) if spec.sliding_window else (-1, -1),
            block_table=problem.block_table,
            softcap=0.0,
            q_descale=None,
            k_descale=descale,
            v_descale=descale,
            seq_threshold_3D=SEQ_THRESHOLD,
            num_par_softmax_segments=SEGMENTS,
            softmax_segm_output=scratch[0],
            softmax_segm_max=scratch[1],
            softmax_segm_expsum=scratch[2],
        )

    return Rival("vLLM Triton", no_gpu, make)


def _load_fa3(path: Path | None) -> str:
    """Load FlashAttention-3's operators; say why not."""
    if path is None:
        return "no library given: --fa3 PATH of _vllm_fa3_C.abi3.so"
    try:
        torch.ops.load_library(str(path))
    except OSError as error:
        return f"{path} does not load: {' '.join(str(error).split())}"
    return ""


def _fa3(problem: Problem, out: torch.Tensor) -> Launch | None:
    if problem.spec.kv_dtype != "same":
        return None  # it wants fp8 queries too
    keys, values = _halves(problem)
    window = (problem.spec.sliding_window - 1, 0) if problem.spec.sliding_window else (-1, -1)
    # By position, as the wheel's own flash_attn_interface.py passes them.
    head = (problem.q, keys, values, None, None, None, out, problem.query_start_loc, None, None)
    lengths = (max(problem.shape.query_lens), max(problem.shape.seq_lens))
    middle = (None, problem.seq_lens, *lengths, problem.block_table, *(None,) * 8)
    tail = (problem.spec.scale, True, *window, 0.0, True, None, 0, None, 0, None, 1, 0, None)
    arguments = (*head, *middle, *tail)
    return lambda: torch.ops._vllm_fa3_C.fwd(*arguments)[0]  # noqa: SLF001
