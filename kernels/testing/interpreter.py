"""Three repairs of Triton's interpreter, so that what kernels promise can be tested on a CPU.

The interpreter keeps bf16 as the raw 16 bits. Its `tl.dot` multiplies those bits as integers, and
its fp32 to bf16 conversion truncates where hardware rounds to nearest even. Arithmetic on bf16
tensors other than `tl.dot` stays wrong: the kernels compute in fp32.

Its `tl.dot` is NumPy's product, whose BLAS adds up the rows at a tile's edge in another order than
those within. A tensor core has no such rows, and batch invariance is a promise about bits.

Two savings come with them and change no result. They halve the time of the kernels' tests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import triton.language as tl
from triton.runtime import interpreter
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

#: The interpreter's own two methods, as it comes.
AS_IT_COMES = (InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl)


def widen_bf16(bits: np.ndarray) -> np.ndarray:
    """The fp32 values of bf16 bit patterns."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def round_to_bf16(values: np.ndarray) -> np.ndarray:
    """The bf16 bit patterns nearest to fp32 values, ties to even, NaN kept NaN."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    quiet_nan = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet_nan, rounded).astype(np.uint16)


@contextmanager
def patched_interpreter() -> Iterator[None]:
    """Make `tl.dot` and casts of bf16 right, bit for bit, for as long as the context lasts.

    NumPy's warnings of overflow and invalid operations are off meanwhile: hardware computes inf
    and NaN without a word, and kernels rely on it (exp2 of a large score, log2 of an empty sum).
    """
    create_dot, cast_impl = AS_IT_COMES

    def dot(builder: Any, a: Any, b: Any, d: Any, *options: Any) -> Any:
        widened = [
            TensorHandle(widen_bf16(x.data), tl.float32) if x.dtype.scalar == tl.bfloat16 else x
            for x in (a, b)
        ]
        # Row by row: every row is then a product of the same shape, wherever it lies in the tile.
        left, right = widened
        rows = TensorHandle(left.data[..., None, :], left.dtype)
        into = TensorHandle(d.data[..., None, :], d.dtype)
        columns = TensorHandle(right.data[..., None, :, :], right.dtype)
        product = create_dot(builder, rows, columns, into, *options)
        return TensorHandle(product.data[..., 0, :], product.dtype)

    def cast(builder: Any, src: Any, dst_type: Any) -> Any:
        source, target = src.dtype.scalar, dst_type.scalar
        if source == tl.bfloat16 and target == tl.float32:
            return TensorHandle(widen_bf16(src.data), target)
        if source == tl.float32 and target == tl.bfloat16:
            return TensorHandle(round_to_bf16(src.data), target)
        return cast_impl(builder, src, dst_type)

    InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl = dot, cast
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"), _savings():
            yield
    finally:
        InterpreterBuilder.create_dot, InterpreterBuilder.cast_impl = create_dot, cast_impl


@contextmanager
def _savings() -> Iterator[None]:
    """Leave out what the interpreter does for nothing.

    It checks integers for overflow and then drops the check, having no debug option set. And for
    each launch, and each call of one jitted function by another, it patches all of
    `triton.language`; here that is patched once.
    """
    builder, patch = interpreter.interpreter_builder, interpreter._patch_lang  # noqa: SLF001
    checked = builder.options
    builder.options = replace(checked, sanitize_overflow=False)
    patched = patch(SimpleNamespace(__globals__={"tl": tl, "core": tl.core}))
    interpreter._patch_lang = lambda _function: interpreter._LangPatchScope()  # noqa: SLF001
    try:
        yield
    finally:
        interpreter._patch_lang = patch  # noqa: SLF001
        patched.restore()
        builder.options = checked
