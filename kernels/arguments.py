"""Checks that attention kernels share, by name, before any launch."""

import torch

from kernels.spec import UnsupportedAttentionError


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


def vectorises(tensor: torch.Tensor) -> bool:
    """Whether 16 neighbouring elements of the last axis always load as whole vectors."""
    return tensor.stride(-1) == 1 and all(stride % 16 == 0 for stride in tensor.stride()[:-1])
