"""One compiled form of a kernel: what a runtime would launch, said without launching it.

Each operation's `variants(capability)` yields these, so that ahead-of-time compilation looks at
exactly the code a GPU would run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

_TYPE_NAMES = {
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float32: "fp32",
    torch.float64: "fp64",
    torch.uint8: "u8",
    torch.int32: "i32",
    torch.int64: "i64",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A kernel, the types of its arguments, its compile-time constants, its launch options.

    Attributes:
        name: unique within the operation, e.g. "decode-d128-p16-bf16".
        kernel: the `@triton.jit` function.
        signature: every parameter in order: "*bf16", "i32", "fp32", or "constexpr".
        constexprs: values of the parameters marked "constexpr".
        options: num_warps, num_stages and the like.
        aligned: parameters that the launcher finds divisible by 16 (pointers: 16-byte aligned).
        kv_tile_bytes: shared memory of one K and V tile, for judging how many stages buffer.
        kv_buffers: K and V tiles the design keeps in shared memory at once.
        ctas_per_sm: programs the design expects to be resident on one multiprocessor.
    """

    name: str
    kernel: Any
    signature: Mapping[str, str]
    constexprs: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    aligned: tuple[str, ...] = ()
    kv_tile_bytes: int = 0
    kv_buffers: int = 0
    ctas_per_sm: int = 1

    def attributes(self) -> dict[tuple[int], list[list[Any]]]:
        """The alignment facts in the form `triton.compiler.ASTSource` takes."""
        names = list(self.signature)
        return {(names.index(name),): [["tt.divisibility", 16]] for name in self.aligned}


def pointer(dtype: torch.dtype) -> str:
    """Triton's name for a pointer to elements of `dtype`."""
    return "*" + _TYPE_NAMES[dtype]
