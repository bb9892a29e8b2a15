"""The compiled forms of the cache writer that a runtime would choose."""

from collections.abc import Iterator

import torch

from kernels.cache_write.config import DECODE_BLOCK_T, PROMPT_BLOCK_T, WriteConfig
from kernels.cache_write.kernel import cache_write_kernel
from kernels.cache_write.launch import write_constants
from kernels.spec import HEAD_DIMS
from kernels.variant import Variant, pointer

#: What layers ask for: name, head dim, rotary dim (0 none), whether NeoX, whether fp8.
CASES: tuple[tuple[str, int, int, bool, bool], ...] = (
    *((f"d{dim}", dim, 0, True, False) for dim in HEAD_DIMS),
    *((f"d{dim}-rope", dim, dim, True, False) for dim in HEAD_DIMS),
    ("d128-fp8", 128, 0, True, True),
    ("d128-rope-fp8", 128, 128, True, True),
    ("d128-rope64", 128, 64, True, False),
    ("d64-ropej", 64, 64, False, False),
)
_TENSORS = ("key", "value", "kv_cache", "q", "q_out", "cos_sin")


def variants(capability: int) -> Iterator[Variant]:
    """Every case, at the tile of decode and of prompts; the same for each capability."""
    del capability
    for name, head_dim, rotary_dim, neox, fp8 in CASES:
        for step, block_t in (("decode", DECODE_BLOCK_T), ("prompt", PROMPT_BLOCK_T)):
            yield _variant(f"{name}-{step}", WriteConfig(block_t), head_dim, rotary_dim, neox, fp8)


def _variant(
    name: str, config: WriteConfig, head_dim: int, rotary_dim: int, neox: bool, fp8: bool
) -> Variant:
    cache_dtype = torch.uint8 if fp8 else torch.bfloat16
    constexprs = write_constants(
        group=4,
        head_dim=head_dim,
        block_size=16,
        block_t=config.block_t,
        rotary_dim=rotary_dim,
        neox=neox,
        cache_dtype=cache_dtype,
    )
    types = dict.fromkeys(_TENSORS, pointer(torch.bfloat16))
    types |= {"kv_cache": pointer(cache_dtype), "k_inverse": "fp32", "v_inverse": "fp32"}
    types |= dict.fromkeys(("slot_mapping", "positions"), pointer(torch.int64))
    signature = {
        parameter: "constexpr" if parameter in constexprs else types.get(parameter, "i32")
        for parameter in cache_write_kernel.arg_names
    }
    strides = (parameter for parameter in signature if parameter.startswith("stride_"))
    return Variant(
        name=name,
        kernel=cache_write_kernel,
        signature=signature,
        constexprs=constexprs,
        options={"num_warps": config.num_warps},
        aligned=(*_TENSORS, *strides),
    )
