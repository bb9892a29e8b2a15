"""Checks of the tensors that attention kernels share, by name, before any launch."""

import torch

from kernels.spec import AttentionSpec, UnsupportedAttentionError


def require(holds: bool, sentence: str) -> None:
    """Refuse with a sentence unless a condition holds."""
    if not holds:
        raise UnsupportedAttentionError(sentence)


def check_rows(max_rows: int, seq_lens: torch.Tensor, query_start_loc: torch.Tensor) -> None:
    """Check the lengths of a step's rows and that there is room for as many.

    Raises:
        UnsupportedAttentionError: more than `max_rows` rows, or a tensor that is not int32.
    """
    rows = seq_lens.shape[0]
    require(rows <= max_rows, f"{rows} rows exceed max_rows {max_rows}")
    for name, tensor, length in (
        ("seq_lens", seq_lens, rows),
        ("query_start_loc", query_start_loc, rows + 1),
    ):
        fits = tensor.dtype == torch.int32 and tensor.shape == (length,)
        require(fits and tensor.is_contiguous(), f"{name} must be int32 [{length}], contiguous")


def check_attention_tensors(
    spec: AttentionSpec,
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    out: torch.Tensor,
    lse: torch.Tensor | None,
) -> None:
    """Check shapes, dtypes and layouts of the big tensors, as every api documents them.

    Raises:
        UnsupportedAttentionError: the first argument that does not fit, by name.
    """
    heads, dim = spec.num_q_heads, spec.head_dim
    for name, tensor in (("q", q), ("out", out)):
        fits = tensor.dtype == spec.dtype and tensor.shape[1:] == (heads, dim)
        require(fits, f"{name} must be {spec.dtype} [tokens, {heads}, {dim}]")
        require(vectorises(tensor), f"{name} needs a last stride of 1 and others divisible by 16")
    require(out.shape == q.shape, "out must have the shape of q")
    cache_shape = (spec.num_kv_heads, spec.block_size, 2 * dim)
    require(kv_cache.shape[1:] == cache_shape, f"kv_cache must be [num_blocks, *{cache_shape}]")
    require(kv_cache.dtype == spec.cache_dtype, f"kv_cache must be {spec.cache_dtype}")
    require(vectorises(kv_cache), "kv_cache needs a last stride of 1 and others divisible by 16")
    fits = block_table.dtype == torch.int32 and block_table.stride(1) == 1
    require(fits, "block_table must be int32 [rows, max_blocks] with a last stride of 1")
    if lse is not None:
        fits = lse.dtype == torch.float32 and lse.shape == q.shape[:2] and lse.is_contiguous()
        require(fits, f"lse must be fp32 [{q.shape[0]}, {heads}], contiguous")


def check_per_head(
    spec: AttentionSpec, sinks: torch.Tensor | None, alibi_slopes: torch.Tensor | None
) -> None:
    """Check that sinks and slopes are given exactly when the spec says so.

    Raises:
        UnsupportedAttentionError: the one that is missing, needless or misshapen.
    """
    for name, tensor, wanted in (
        ("sinks", sinks, spec.sinks),
        ("alibi_slopes", alibi_slopes, spec.alibi),
    ):
        require((tensor is not None) == wanted, f"{name} must be given exactly when the spec asks")
        if tensor is not None:
            fits = tensor.dtype == torch.float32 and tensor.shape == (spec.num_q_heads,)
            require(fits and tensor.is_contiguous(), f"{name} must be fp32 [{spec.num_q_heads}]")


def vectorises(tensor: torch.Tensor) -> bool:
    """Whether 16 neighbouring elements of the last axis always load as whole vectors."""
    return tensor.stride(-1) == 1 and all(stride % 16 == 0 for stride in tensor.stride()[:-1])
