"""The paged cache as one matrix, which is what a 2-D tensor descriptor can address."""

from dataclasses import dataclass
from typing import Any

import torch
from triton.tools.tensor_descriptor import TensorDescriptor

from kernels.arguments import require


@dataclass(frozen=True, slots=True)
class FlatCache:
    """The cache `[num_blocks, Hkv, block, 2 * D]` as a matrix with a row for each stored token.

    The token `t` of page `b` and head `h` begins at row `b * block_rows + h * head_rows + t`,
    column `h * head_cols`: heads lie below each other (LBHNC) or beside each other (LBNHC).
    """

    rows: int
    cols: int
    row_stride: int
    block_rows: int
    head_rows: int
    head_cols: int

    def descriptor(self, kv_cache: torch.Tensor, block_n: int) -> Any:
        """A descriptor of the whole cache, in blocks of `block_n` tokens of K or of V."""
        head_dim = kv_cache.shape[-1] // 2
        return TensorDescriptor(
            kv_cache, [self.rows, self.cols], [self.row_stride, 1], [block_n, head_dim]
        )


def flatten_cache(kv_cache: torch.Tensor) -> FlatCache:
    """Find the matrix in a cache's strides.

    Args:
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, last stride 1.

    Raises:
        UnsupportedAttentionError: pages or heads do not lie on whole rows.
    """
    num_blocks, heads, block, width = kv_cache.shape
    block_stride, head_stride, row_stride, _ = kv_cache.stride()
    beside = head_stride < row_stride
    require(
        block_stride % row_stride == 0 and (beside or head_stride % row_stride == 0),
        f"kv_cache strides {kv_cache.stride()} put a page or head between two rows of tokens",
    )
    block_rows = block_stride // row_stride
    head_rows = 0 if beside else head_stride // row_stride
    return FlatCache(
        rows=(num_blocks - 1) * block_rows + (heads - 1) * head_rows + block,
        cols=(heads - 1) * head_stride + width if beside else width,
        row_stride=row_stride,
        block_rows=block_rows,
        head_rows=head_rows,
        head_cols=head_stride if beside else 0,
    )
