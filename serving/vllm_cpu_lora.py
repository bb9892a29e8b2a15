"""Keeps adapters away from requests that have none, where vLLM computes them on a CPU.

To vLLM's kernels a row of index -1 has no adapter. Those for CPUs (vllm.lora.ops.torch_ops, as of
0.32) take the index for that of a list, where -1 is the last: in a batch that has both, requests
without an adapter are given the one in the last place. Their inputs are made zero here, of which
every adapter makes nothing.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from vllm.lora.ops.torch_ops import lora_ops
from vllm.lora.punica_wrapper import punica_cpu

_KERNELS = ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice")
"""Those that look up weights by an index for each row; the others call them."""

_MARK = "_spares_the_base_model"


def spare_the_base_model() -> None:
    """Mends the kernels of this process; again, it does nothing."""
    for name in _KERNELS:
        kernel = getattr(lora_ops, name)
        if not hasattr(kernel, _MARK):
            kernel = _sparing(kernel)
        for module in (lora_ops, punica_cpu):
            setattr(module, name, kernel)


def _sparing(kernel: Callable[..., None]) -> Callable[..., None]:
    """A kernel for which rows (of inputs `[rows, features]`) of a negative index are zero."""

    @wraps(kernel)
    def spared(
        inputs: torch.Tensor,
        weights: torch.Tensor,
        output: torch.Tensor,
        indices: torch.Tensor,
        *rest: Any,
        **named: Any,
    ) -> None:
        inputs = inputs.masked_fill((indices < 0).unsqueeze(-1), 0)
        kernel(inputs, weights, output, indices, *rest, **named)

    setattr(spared, _MARK, True)
    return spared
