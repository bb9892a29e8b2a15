"""Attention over a paged cache, written for the eye, in whatever precision is asked for.

In float64 it is the truth that kernels are compared with. In the layer's own precision it is the
error that plain PyTorch makes, and so the yardstick for how much error a kernel may make.
"""

import math

import torch

from kernels.spec import AttentionSpec

LOG2E = math.log2(math.e)


def reference_paged_attention(
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    spec: AttentionSpec,
    *,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    sinks: torch.Tensor | None = None,
    alibi_slopes: torch.Tensor | None = None,
    compute: torch.dtype = torch.float64,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Causal attention of each row's last tokens over its own pages.

    Args:
        q: `[tokens, Hq, D]`, any float dtype.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis; for e4m3 the
            bytes as uint8 or float8_e4m3fn.
        block_table: int32 `[rows, max_blocks]`, page ids in token order.
        seq_lens: int32 `[rows]`, tokens in the cache, the current query's included.
        query_start_loc: int32 `[rows + 1]`, first token of each row in `q`.
        spec: the layer.
        k_scale: what a cache element of K is multiplied by.
        v_scale: the same for V.
        sinks: float `[Hq]`, natural-log logits; required when `spec.sinks`.
        alibi_slopes: float `[Hq]`; required when `spec.alibi`.
        compute: dtype of every operation.

    Returns:
        Where the arguments are: output `[tokens, Hq, D]` in `compute`; log-sum-exp `[tokens, Hq]`
        in log2 units, float64 (of the low-precision scores when `compute` is low). Tokens that no
        row owns are NaN; a token that sees no key has output 0 and log-sum-exp -inf.
    """
    out = torch.full(q.shape, math.nan, dtype=compute, device=q.device)
    lse = torch.full(q.shape[:2], math.nan, dtype=torch.float64, device=q.device)
    starts = query_start_loc.tolist()
    for row, seq_len in enumerate(seq_lens.tolist()):
        first, last = starts[row], starts[row + 1]
        if first == last:
            continue
        keys, values = _gather(kv_cache, block_table[row], seq_len, spec, compute)
        scores = _scores(q[first:last].to(compute), keys * k_scale, spec)
        scores = _bias_and_mask(scores, seq_len, spec, alibi_slopes)
        wide = scores.double()
        logits = wide
        if spec.sinks:
            column = sinks.double().view(-1, 1, 1).expand(-1, last - first, 1)
            logits = torch.cat([wide, column], dim=2)
        total = (
            torch.logsumexp(logits, dim=2)
            if logits.shape[2]
            else torch.full_like(wide[..., :1].sum(2), -math.inf)
        )
        weights = torch.exp(wide - total.masked_fill(total == -math.inf, 0)[..., None])
        weights = weights.to(compute)
        out[first:last] = torch.bmm(weights, values * v_scale).transpose(0, 1)
        lse[first:last] = (total * LOG2E).transpose(0, 1)
    return out, lse


def _gather(
    kv_cache: torch.Tensor,
    pages: torch.Tensor,
    seq_len: int,
    spec: AttentionSpec,
    compute: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """K and V of one row, `[Hq, seq_len, D]` each, every KV head repeated for its group."""
    used = pages[: -(-seq_len // spec.block_size)].long()
    cache = kv_cache[used]
    if cache.dtype == torch.uint8:
        cache = cache.view(torch.float8_e4m3fn)
    # The cast through fp32 keeps e4m3, which converts to few dtypes directly, exact.
    cache = cache.float().to(compute) if cache.dtype == torch.float8_e4m3fn else cache.to(compute)
    tokens = cache.transpose(1, 2).reshape(-1, spec.num_kv_heads, 2 * spec.head_dim)[:seq_len]
    tokens = tokens.transpose(0, 1).repeat_interleave(spec.group_size, dim=0)
    return tokens[..., : spec.head_dim], tokens[..., spec.head_dim :]


def _scores(q: torch.Tensor, keys: torch.Tensor, spec: AttentionSpec) -> torch.Tensor:
    """Scaled and capped scores `[Hq, query, seq_len]` in natural units."""
    scores = torch.bmm(q.transpose(0, 1) * spec.scale, keys.transpose(1, 2))
    if spec.soft_cap:
        scores = spec.soft_cap * torch.tanh(scores / spec.soft_cap)
    return scores


def _bias_and_mask(
    scores: torch.Tensor, seq_len: int, spec: AttentionSpec, slopes: torch.Tensor | None
) -> torch.Tensor:
    """ALiBi, then causality and the window as -inf."""
    k_pos = torch.arange(seq_len, device=scores.device)
    q_pos = torch.arange(seq_len - scores.shape[1], seq_len, device=scores.device)
    if spec.alibi:
        distance = (k_pos[None, :] - q_pos[:, None]).to(scores.dtype)
        scores = scores + slopes.to(scores.dtype).view(-1, 1, 1) * distance
    hidden = k_pos[None, :] > q_pos[:, None]
    if spec.sliding_window:
        hidden |= k_pos[None, :] <= q_pos[:, None] - spec.sliding_window
    return scores.masked_fill(hidden, -math.inf)
