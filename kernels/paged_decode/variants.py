"""The compiled forms of both decode kernels that a runtime would choose."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from kernels.paged_decode.config import choose_config
from kernels.paged_decode.kernel import paged_decode_kernel
from kernels.paged_decode.launch import attention_constants, planner_constants
from kernels.paged_decode.planner import planner_kernel
from kernels.spec import HEAD_DIMS, AttentionSpec
from kernels.variant import Variant, pointer

LLAMA = AttentionSpec(32, 8, 128, 128**-0.5, 16, torch.bfloat16)

#: Every feature at once, which leaves a thread the fewest registers.
CROWDED = replace(LLAMA, sliding_window=1024, soft_cap=50.0, sinks=True, alibi=True)

#: What layers ask for: name, spec, query tokens of a row at most, whether batch-invariant.
CASES: tuple[tuple[str, AttentionSpec, int, bool], ...] = (
    *((f"d{dim}", replace(LLAMA, head_dim=dim), 1, False) for dim in HEAD_DIMS),
    *((f"d128-page{n}", replace(LLAMA, block_size=n), 1, False) for n in (32, 64, 128, 256)),
    ("d128-fp16", replace(LLAMA, dtype=torch.float16), 1, False),
    *((f"d{n}-fp8", replace(LLAMA, head_dim=n, kv_dtype="fp8_e4m3"), 1, False) for n in (64, 128)),
    ("d256-fp8", replace(LLAMA, head_dim=256, kv_dtype="fp8_e4m3"), 1, False),
    ("d128-mha", replace(LLAMA, num_kv_heads=32), 1, False),
    ("d128-mqa32", replace(LLAMA, num_kv_heads=1), 1, False),
    ("d128-query8", LLAMA, 8, False),
    ("d128-query16", LLAMA, 16, False),
    ("d256-query16", replace(LLAMA, head_dim=256), 16, False),
    ("d128-query16-fp8", replace(LLAMA, kv_dtype="fp8_e4m3"), 16, False),
    ("d64-query16-fp8", replace(LLAMA, head_dim=64, kv_dtype="fp8_e4m3"), 16, False),
    ("d128-window", replace(LLAMA, sliding_window=1024), 1, False),
    ("d64-window-sinks", replace(LLAMA, head_dim=64, sliding_window=128, sinks=True), 1, False),
    ("d256-softcap", replace(LLAMA, head_dim=256, soft_cap=50.0), 1, False),
    ("d128-alibi", replace(LLAMA, alibi=True), 1, False),
    ("d128-crowded-fp8", replace(CROWDED, kv_dtype="fp8_e4m3"), 1, False),
    ("d128-query8-crowded-fp8", replace(CROWDED, kv_dtype="fp8_e4m3"), 8, False),
    ("d64-crowded-fp8", replace(CROWDED, head_dim=64, kv_dtype="fp8_e4m3"), 1, False),
    ("d256-crowded", replace(CROWDED, head_dim=256), 1, False),
    ("d256-crowded-fp8", replace(CROWDED, head_dim=256, kv_dtype="fp8_e4m3"), 1, False),
    ("d128-invariant", LLAMA, 1, True),
)

#: What an engine passes slices of, so that nothing may be assumed of where it begins.
_SLICED = ("block_table", "seq_lens", "query_start_loc")
_FP32 = (
    "lse",
    "sinks",
    "alibi_slopes",
    "partial_out",
    "partial_stats",
    "prefix_out",
    "prefix_lse",
)
_STRIDES = (
    "stride_q_token",
    "stride_q_head",
    "stride_out_token",
    "stride_out_head",
    "stride_kv_block",
    "stride_kv_head",
    "stride_kv_token",
)


def variants(capability: int) -> Iterator[Variant]:
    """Every form of `CASES` for one capability, then the planner's."""
    for name, spec, max_query_len, batch_invariant in CASES:
        yield attention_variant(
            name, spec, max_query_len, capability, batch_invariant=batch_invariant
        )
    yield attention_variant("d128-lse", LLAMA, 1, capability, lse=True)
    for window in (0, 1024):
        yield planner_variant(
            f"planner-window{window}", replace(LLAMA, sliding_window=window), capability
        )


def attention_variant(
    name: str,
    spec: AttentionSpec,
    max_query_len: int,
    capability: int,
    *,
    batch_invariant: bool = False,
    lse: bool = False,
    role: str = "whole",
) -> Variant:
    """The attention kernel as `launch_attention` would launch it."""
    config = choose_config(spec, max_query_len, capability, batch_invariant=batch_invariant)
    constexprs = attention_constants(
        spec,
        config,
        capability,
        role=role,
        packed_rows=min(config.block_m, max_query_len * spec.group_size),
        query_len=max_query_len,
        sinks=spec.sinks and role != "prefix",
        lse=lse,
    )
    types = {"q": pointer(spec.dtype), "kv_cache": pointer(spec.cache_dtype)}
    types["out"] = pointer(torch.float32 if role == "prefix" else spec.dtype)
    types |= dict.fromkeys(_FP32, pointer(torch.float32))
    types |= {"num_rows": "i32", "stride_table": "i32", "qk_scale": "fp32", "v_scale": "fp32"}
    types |= dict.fromkeys(_STRIDES, "i32")
    signature = _signature(paged_decode_kernel, types, constexprs)
    return Variant(
        name=name,
        kernel=paged_decode_kernel,
        signature=signature,
        constexprs=constexprs,
        options=config.launch_options,
        aligned=_aligned(paged_decode_kernel, signature),
        kv_tile_bytes=config.block_n * 2 * spec.padded_head_dim * spec.cache_dtype.itemsize,
        kv_buffers=config.num_stages - 1,
        ctas_per_sm=config.ctas_per_sm,
    )


def planner_variant(
    name: str, spec: AttentionSpec, capability: int, *, skip: bool = False
) -> Variant:
    """The planner as `launch_planner` would launch it."""
    constexprs = planner_constants(spec, choose_config(spec, 1, capability), skip=skip)
    types = {"num_rows": "i32", "workers": "i32"}
    signature = _signature(planner_kernel, types, constexprs)
    aligned = _aligned(planner_kernel, signature)
    return Variant(name, planner_kernel, signature, constexprs, aligned=aligned)


def _signature(kernel: Any, types: dict[str, str], constexprs: dict[str, Any]) -> dict[str, str]:
    """Every parameter's type; the pointers not named otherwise are to int32."""
    return {
        name: "constexpr" if name in constexprs else types.get(name, pointer(torch.int32))
        for name in kernel.arg_names
    }


def _aligned(kernel: Any, signature: dict[str, str]) -> tuple[str, ...]:
    """Parameters divisible by 16: whole tensors, and the strides that an api checks."""
    whole = (name for name in kernel.arg_names if signature[name].startswith("*"))
    pointers = tuple(name for name in whole if name not in _SLICED)
    return pointers + tuple(name for name in _STRIDES if name in signature)
