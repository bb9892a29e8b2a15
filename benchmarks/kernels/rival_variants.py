"""vLLM's Triton kernel as it would be launched: its launcher is run, and its launch recorded."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import torch

from benchmarks.kernels.vllm_unified import load_unified_attention
from kernels.variant import Variant, pointer

HEADS, KV_HEADS, HEAD_DIM, BLOCK_SIZE = 32, 8, 128, 16
#: vLLM's own numbers for splitting a decode batch along the keys.
SEGMENTS, SEQ_THRESHOLD = 16, 16


class _Recorder:
    """Takes the kernel's place; keeps what it is launched with."""

    def __init__(self) -> None:
        self.arguments: dict[str, Any] = {}

    def __getitem__(self, _grid: object) -> "_Recorder":
        return self

    def __call__(self, **arguments: Any) -> None:
        self.arguments = arguments


def rival_variants() -> Iterator[Variant]:
    """The kernel for a long prompt and for a batch of decode rows.

    Raises:
        vllm_unified.UnifiedKernelMissingError: where vLLM's files cannot be loaded.
    """
    module = load_unified_attention()
    yield _recorded("prefill-d128", module, query_len=2048, rows=1)
    yield _recorded("decode-d128", module, query_len=1, rows=8)


def _recorded(name: str, module: ModuleType, *, query_len: int, rows: int) -> Variant:
    kernel, reduce = module.kernel_unified_attention, module.reduce_segments
    recorder = _Recorder()
    vars(module).update(kernel_unified_attention=recorder, reduce_segments=_Recorder())
    try:
        _launch(module, query_len, rows)
    finally:
        vars(module).update(kernel_unified_attention=kernel, reduce_segments=reduce)
    arguments = recorder.arguments
    options = {key: arguments.pop(key) for key in ("num_warps", "num_stages") if key in arguments}
    return _variant(name, kernel, arguments, {"num_warps": 4, "num_stages": 3} | options)


def _launch(module: ModuleType, query_len: int, rows: int) -> None:
    """Call vLLM's launcher with tensors of the right strides, on torch's meta device."""
    tokens = query_len * rows

    def meta(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device="meta")

    cache = meta(1024, KV_HEADS, BLOCK_SIZE, 2 * HEAD_DIM).transpose(1, 2)
    segments = (SEQ_THRESHOLD, HEADS, SEGMENTS)
    module.unified_attention(
        q=meta(tokens, HEADS, HEAD_DIM),
        k=cache[..., :HEAD_DIM],
        v=cache[..., HEAD_DIM:],
        out=meta(tokens, HEADS, HEAD_DIM),
        cu_seqlens_q=meta(rows + 1, dtype=torch.int32),
        max_seqlen_q=query_len,
        seqused_k=meta(rows, dtype=torch.int32),
        max_seqlen_k=8192,
        softmax_scale=HEAD_DIM**-0.5,
        causal=True,
        window_size=(-1, -1),
        block_table=meta(rows, 512, dtype=torch.int32),
        softcap=0.0,
        q_descale=None,
        k_descale=None,
        v_descale=None,
        seq_threshold_3D=SEQ_THRESHOLD,
        num_par_softmax_segments=SEGMENTS,
        softmax_segm_output=meta(*segments, HEAD_DIM, dtype=torch.float32),
        softmax_segm_max=meta(*segments, dtype=torch.float32),
        softmax_segm_expsum=meta(*segments, dtype=torch.float32),
    )


def _variant(name: str, kernel: Any, arguments: dict[str, Any], options: dict[str, Any]) -> Variant:
    """Types and constants of recorded arguments, as Triton's launcher would specialise them."""
    signature, constexprs, aligned = {}, {}, []
    for parameter in kernel.params:
        value = arguments.get(parameter.name, parameter.default)
        if isinstance(value, torch.Tensor):
            signature[parameter.name] = pointer(value.dtype)
            aligned.append(parameter.name)
        elif parameter.is_constexpr or value is None or (value == 1 and isinstance(value, int)):
            signature[parameter.name] = "constexpr"
            constexprs[parameter.name] = value
        elif isinstance(value, float):
            signature[parameter.name] = "fp32"
        else:
            signature[parameter.name] = "i64" if "int64" in parameter.annotation else "i32"
            if value % 16 == 0:
                aligned.append(parameter.name)
    return Variant(
        name=name,
        kernel=kernel,
        signature=signature,
        constexprs=constexprs,
        options=options,
        aligned=tuple(aligned),
        kv_tile_bytes=2 * 2 * constexprs["TILE_SIZE"] * HEAD_DIM,
    )
