"""The compiled forms of the prefill kernels that a runtime would choose."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from kernels.paged_prefill.config import (
    PrefillConfig,
    PrefillShape,
    buffered_tiles,
    choose_config,
)
from kernels.paged_prefill.constants import (
    attention_constants,
    launch_options,
    merge_constants,
    planner_constants,
)
from kernels.paged_prefill.kernel import paged_prefill_kernel
from kernels.paged_prefill.merge import merge_kernel
from kernels.paged_prefill.plan_kernel import plan_kernel
from kernels.paged_prefill.specialised import specialised_prefill_kernel
from kernels.spec import HEAD_DIMS, AttentionSpec
from kernels.variant import Variant, pointer

LLAMA = AttentionSpec(32, 8, 128, 128**-0.5, 16, torch.bfloat16)
CROWDED = replace(LLAMA, sliding_window=1024, soft_cap=50.0, sinks=True, alibi=True)
PAGE_128 = replace(LLAMA, block_size=128)

#: One 8k prompt, whose tiles are never cut, and a 2k chunk far into a context, whose tiles may be.
PROMPT = PrefillShape(tokens=8192, rows=1, max_query_len=8192, max_seq_len=8192)
CHUNK = PrefillShape(tokens=2048, rows=4, max_query_len=2048, max_seq_len=131072)

#: What layers ask for: name, spec, step.
PLAIN_CASES: tuple[tuple[str, AttentionSpec, PrefillShape], ...] = (
    *((f"d{dim}", replace(LLAMA, head_dim=dim), PROMPT) for dim in HEAD_DIMS),
    *((f"d128-page{n}", replace(LLAMA, block_size=n), PROMPT) for n in (32, 64, 128, 256)),
    *((f"d{dim}-cuts", replace(LLAMA, head_dim=dim), CHUNK) for dim in (64, 128, 256)),
    *(
        (f"d{dim}-fp8", replace(LLAMA, head_dim=dim, kv_dtype="fp8_e4m3"), PROMPT)
        for dim in (64, 128, 256)
    ),
    ("d128-fp16", replace(LLAMA, dtype=torch.float16), PROMPT),
    ("d128-mha", replace(LLAMA, num_kv_heads=32), PROMPT),
    ("d128-mqa32", replace(LLAMA, num_kv_heads=1), PROMPT),
    ("d128-window", replace(LLAMA, sliding_window=1024), CHUNK),
    ("d64-window-sinks", replace(LLAMA, head_dim=64, sliding_window=128, sinks=True), CHUNK),
    ("d256-softcap", replace(LLAMA, head_dim=256, soft_cap=50.0), CHUNK),
    ("d128-alibi", replace(LLAMA, alibi=True), PROMPT),
    # Every feature at once, and the most heads in a tile: what leaves a thread fewest registers.
    ("d128-crowded-cuts-fp8", replace(CROWDED, kv_dtype="fp8_e4m3"), CHUNK),
    ("d256-crowded-cuts", replace(CROWDED, head_dim=256), CHUNK),
    ("d256-crowded-cuts-fp8", replace(CROWDED, head_dim=256, kv_dtype="fp8_e4m3"), CHUNK),
    ("d256-mqa-cuts", replace(LLAMA, head_dim=256, num_kv_heads=1), CHUNK),
    ("d256-mqa-cuts-fp8", replace(LLAMA, head_dim=256, num_kv_heads=1, kv_dtype="fp8_e4m3"), CHUNK),
)
SPECIALISED_CASES: tuple[tuple[str, AttentionSpec, PrefillShape], ...] = (
    ("d128", PAGE_128, PROMPT),
    ("d128-page64", replace(PAGE_128, block_size=64), PROMPT),
    ("d128-cuts", PAGE_128, CHUNK),
    ("d128-fp16", replace(PAGE_128, dtype=torch.float16), PROMPT),
    ("d64", replace(PAGE_128, head_dim=64), PROMPT),
    ("d64-cuts", replace(PAGE_128, head_dim=64), CHUNK),
    ("d128-window", replace(PAGE_128, sliding_window=1024), CHUNK),
    ("d64-window-sinks", replace(PAGE_128, head_dim=64, sliding_window=128, sinks=True), CHUNK),
    ("d128-softcap-alibi", replace(PAGE_128, soft_cap=50.0, alibi=True), PROMPT),
)

#: Multiprocessors of an A100 and of an H100 or H200; they bound what cutting may add.
SM_COUNT = {80: 108, 90: 132}

_STRIDES = ("stride_q_token", "stride_q_head", "stride_out_token", "stride_out_head")
_KV_STRIDES = ("stride_kv_block", "stride_kv_head", "stride_kv_token")
_FP32 = ("lse", "sinks", "alibi_slopes", "partial_out", "partial_lse")
_SCALARS = {
    "qk_scale": "fp32",
    "v_scale": "fp32",
    **dict.fromkeys(("stride_table", "num_tokens", *_STRIDES, *_KV_STRIDES), "i32"),
    **dict.fromkeys(("block_rows", "head_rows", "head_cols"), "i32"),
    **dict.fromkeys(("rows", "min_query_len", "cut_budget", "chunk_min"), "i32"),
}
#: What the launcher finds divisible by 16, where a kernel has it. Strides of the flattened cache
#: count rows; a page of 64 tokens or more makes them divisible.
_ALIGNED = (
    *("q", "kv_cache", "out", "partial_out", "partial_lse"),
    *(*_STRIDES, *_KV_STRIDES, "block_rows", "head_rows", "head_cols"),
)


def variants(capability: int) -> Iterator[Variant]:
    """Every form for one capability: plain, specialised where there is such, merge, planner."""
    for name, spec, shape in PLAIN_CASES:
        yield attention_variant(name, spec, shape, capability, finite_cache=False)
    if _config(PAGE_128, PROMPT, capability, finite_cache=True).specialised:
        for name, spec, shape in SPECIALISED_CASES:
            title = f"specialised-{name}"
            yield attention_variant(title, spec, shape, capability, finite_cache=True)
    config = _config(LLAMA, CHUNK, capability, finite_cache=False)
    constexprs = merge_constants(LLAMA, config, lse=True)
    yield _variant("merge-d128", merge_kernel, LLAMA, constexprs, {})
    for tiles, rows in ((64, 1), (1024, 256)):
        constexprs = planner_constants(config.rules(LLAMA, 1), tiles, rows)
        name = f"planner-{tiles}"
        yield _variant(name, plan_kernel, LLAMA, constexprs, {"num_warps": 8})


def attention_variant(
    name: str, spec: AttentionSpec, shape: PrefillShape, capability: int, *, finite_cache: bool
) -> Variant:
    """The attention kernel as `paged_prefill` would launch it, log-sum-exps not asked for."""
    config = _config(spec, shape, capability, finite_cache=finite_cache)
    constexprs = attention_constants(spec, config, capability, lse=False)
    tile_bytes = config.block_n * 2 * spec.padded_head_dim * spec.cache_dtype.itemsize
    kernel = specialised_prefill_kernel if config.specialised else paged_prefill_kernel
    descriptor = f"tensordesc<{pointer(spec.dtype)[1:]}[{config.block_n},{spec.head_dim}]>"
    variant = _variant(
        name, kernel, spec, constexprs, launch_options(config), {"kv_desc": descriptor}
    )
    buffers = buffered_tiles(spec, config, capability)
    return replace(variant, kv_tile_bytes=tile_bytes, kv_buffers=buffers)


def _config(
    spec: AttentionSpec, shape: PrefillShape, capability: int, *, finite_cache: bool
) -> PrefillConfig:
    sm_count = SM_COUNT.get(capability, 132)
    return choose_config(spec, shape, capability, sm_count=sm_count, finite_cache=finite_cache)


def _variant(
    name: str,
    kernel: Any,
    spec: AttentionSpec,
    constexprs: Mapping[str, Any],
    options: Mapping[str, Any],
    more_types: Mapping[str, str] = {},
) -> Variant:
    """A variant whose types follow from the parameters' names; unnamed pointers are to int32."""
    types = {
        **dict.fromkeys(("q", "out"), pointer(spec.dtype)),
        **dict.fromkeys(_FP32, pointer(torch.float32)),
        "kv_cache": pointer(spec.cache_dtype),
        **_SCALARS,
        **more_types,
    }
    signature = {
        parameter: "constexpr" if parameter in constexprs else types.get(parameter, "*i32")
        for parameter in kernel.arg_names
    }
    aligned = tuple(parameter for parameter in _ALIGNED if parameter in signature)
    return Variant(name, kernel, signature, constexprs, options, aligned)
