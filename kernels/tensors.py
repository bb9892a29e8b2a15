"""The tensors of one layer in one step, which every attention kernel takes: described once."""

from dataclasses import dataclass, replace

import torch

from kernels.arguments import require, vectorises
from kernels.spec import AttentionSpec


@dataclass(frozen=True, slots=True, eq=False)
class LayerTensors:
    """What the attention of a layer reads, and where it writes.

    Attributes:
        q: `[tokens, Hq, D]` of the spec's dtype, last stride 1, other strides multiples of 16. A
            row's query tokens are the last of its tokens in the cache.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis, last stride 1,
            other strides multiples of 16; of the spec's dtype, or uint8 (or float8_e4m3fn) for
            e4m3.
        block_table: int32 `[rows, max_blocks]`, page ids in token order, last stride 1; only
            entries of pages that hold visible tokens are read.
        out: `[tokens, Hq, D]`, dtype and strides as `q`, written for each token of a row with
            cached tokens; other tokens are left alone.
        lse: None, or fp32 `[tokens, Hq]` contiguous: receives the log-sum-exp of the scores in
            log2 units, the sink's included; -inf where a token sees no key and there is no sink.
        k_scale: what an element of K is multiplied by.
        v_scale: the same for V.
        sinks: fp32 `[Hq]` contiguous, natural-log logits; given exactly when the spec has sinks.
        alibi_slopes: fp32 `[Hq]` contiguous; given exactly when the spec has ALiBi.
    """

    q: torch.Tensor
    kv_cache: torch.Tensor
    block_table: torch.Tensor
    out: torch.Tensor
    lse: torch.Tensor | None = None
    k_scale: float = 1.0
    v_scale: float = 1.0
    sinks: torch.Tensor | None = None
    alibi_slopes: torch.Tensor | None = None

    def checked(self, spec: AttentionSpec, rows: int) -> "LayerTensors":
        """Itself, e4m3 seen as bytes, if every tensor fits a spec and a step of `rows` rows.

        Raises:
            UnsupportedAttentionError: the first tensor of the wrong shape, dtype, layout or device,
                by name.
        """
        tensors = self
        if self.kv_cache.dtype == torch.float8_e4m3fn:
            tensors = replace(self, kv_cache=self.kv_cache.view(torch.uint8))
        _check_tokens(tensors, spec)
        _check_cache(tensors, spec, rows)
        _check_per_head(tensors, spec)
        return tensors


def _check_tokens(tensors: LayerTensors, spec: AttentionSpec) -> None:
    """Queries, outputs and log-sum-exps."""
    heads, dim = spec.num_q_heads, spec.head_dim
    for name, tensor in (("q", tensors.q), ("out", tensors.out)):
        fits = tensor.dtype == spec.dtype and tensor.shape[1:] == (heads, dim)
        require(fits, f"{name} must be {spec.dtype} [tokens, {heads}, {dim}]")
        require(vectorises(tensor), f"{name} needs a last stride of 1 and others divisible by 16")
    require(tensors.out.shape == tensors.q.shape, "out must have the shape of q")
    _check_device(tensors, "out", tensors.out)
    lse = tensors.lse
    if lse is not None:
        fits = lse.dtype == torch.float32 and lse.shape == tensors.q.shape[:2]
        require(
            fits and lse.is_contiguous(),
            f"lse must be fp32 [{tensors.q.shape[0]}, {heads}], contiguous",
        )
        _check_device(tensors, "lse", lse)


def _check_cache(tensors: LayerTensors, spec: AttentionSpec, rows: int) -> None:
    """The cache and the pages of each row."""
    cache, table = tensors.kv_cache, tensors.block_table
    shape = (spec.num_kv_heads, spec.block_size, 2 * spec.head_dim)
    require(cache.shape[1:] == shape, f"kv_cache must be [num_blocks, *{shape}]")
    require(cache.dtype == spec.cache_dtype, f"kv_cache must be {spec.cache_dtype}")
    require(vectorises(cache), "kv_cache needs a last stride of 1 and others divisible by 16")
    _check_device(tensors, "kv_cache", cache)
    fits = table.dtype == torch.int32 and table.dim() == 2 and table.stride(1) == 1
    require(fits, "block_table must be int32 [rows, max_blocks] with a last stride of 1")
    require(table.shape[0] >= rows, f"block_table has {table.shape[0]} rows, the step {rows}")
    _check_device(tensors, "block_table", table)


def _check_per_head(tensors: LayerTensors, spec: AttentionSpec) -> None:
    """Sinks and slopes, which are given exactly when the spec says so."""
    for name, tensor, wanted in (
        ("sinks", tensors.sinks, spec.sinks),
        ("alibi_slopes", tensors.alibi_slopes, spec.alibi),
    ):
        require((tensor is not None) == wanted, f"{name} must be given exactly when the spec asks")
        if tensor is not None:
            fits = tensor.dtype == torch.float32 and tensor.shape == (spec.num_q_heads,)
            require(fits and tensor.is_contiguous(), f"{name} must be fp32 [{spec.num_q_heads}]")
            _check_device(tensors, name, tensor)


def _check_device(tensors: LayerTensors, name: str, tensor: torch.Tensor) -> None:
    device = tensors.q.device
    require(tensor.device == device, f"{name} is on {tensor.device}, and q on {device}")
