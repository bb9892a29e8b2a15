"""What an attention layer asks of a kernel, and which of it the kernels here can do.

An `AttentionSpec` holds what is fixed for a layer's lifetime. It becomes compile-time constants of
the kernels, so two layers with equal specs share compiled code. `check` refuses what no kernel
supports, by the argument's name, before anything is launched.
"""

from dataclasses import dataclass

import torch

HEAD_DIMS = (64, 80, 96, 112, 128, 192, 256)
BLOCK_SIZES = (16, 32, 64, 128, 256)
DTYPES = (torch.float16, torch.bfloat16, torch.float32)
KV_DTYPES = ("same", "fp8_e4m3")
GROUP_SIZE_MAX = 64  # query heads per KV head; the widest published model has 48

#: Capability of the Triton interpreter, where every other capability is 10 * major + minor.
INTERPRETER = 0
#: The oldest architecture with the asynchronous copies that every kernel here is built on.
CAPABILITY_MIN = 80
#: The first architecture that converts e4m3 in hardware; below it the bits are decoded exactly.
NATIVE_E4M3_CAPABILITY = 89


class UnsupportedAttentionError(ValueError):
    """An attention layer asks for what no kernel supports; the message names the argument."""


@dataclass(frozen=True, slots=True)
class AttentionSpec:
    """The fixed properties of one attention layer.

    Attributes:
        num_q_heads: query heads, a multiple of `num_kv_heads`.
        num_kv_heads: key/value heads.
        head_dim: elements of one head, the same for K and V; one of `HEAD_DIMS`.
        scale: factor on q.k before anything else, greater than 0 (usually head_dim ** -0.5).
        block_size: tokens of one cache page; one of `BLOCK_SIZES`.
        dtype: of queries and outputs; of the cache too when `kv_dtype` is "same".
        kv_dtype: "same", or "fp8_e4m3" for a cache of e4m3 bytes with one scale for K and V each.
        sliding_window: tokens a query sees, itself included; 0 for all.
        soft_cap: scores become cap * tanh(score / cap); 0 for none.
        sinks: whether each query head has a logit that joins the softmax's denominator alone.
        alibi: whether slope[head] * (key position - query position) is added to the scores.
    """

    num_q_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float
    block_size: int
    dtype: torch.dtype
    kv_dtype: str = "same"
    sliding_window: int = 0
    soft_cap: float = 0.0
    sinks: bool = False
    alibi: bool = False

    @property
    def group_size(self) -> int:
        """Query heads that share one KV head."""
        return self.num_q_heads // self.num_kv_heads

    @property
    def padded_head_dim(self) -> int:
        """The next power of two, since a tile's edges are powers of two."""
        return 1 << (self.head_dim - 1).bit_length()

    @property
    def cache_dtype(self) -> torch.dtype:
        """The cache's element type as kernels see it: e4m3 travels as bytes."""
        return torch.uint8 if self.kv_dtype == "fp8_e4m3" else self.dtype

    @property
    def kv_token_bytes(self) -> int:
        """Bytes of K and V of one token of one KV head."""
        return 2 * self.head_dim * self.cache_dtype.itemsize


def native_e4m3(capability: int) -> bool:
    """Whether the hardware converts e4m3; elsewhere `tile.decode_e4m3` reads the bits."""
    return capability >= NATIVE_E4M3_CAPABILITY


def e4m3_factor(capability: int) -> float:
    """What `tile.decode_e4m3_scaled` leaves for the launcher to fold into k_scale and v_scale."""
    return 1.0 if native_e4m3(capability) else 256.0


def check(spec: AttentionSpec, capability: int) -> None:
    """Refuse a spec that no kernel supports.

    Args:
        spec: what the layer asks for.
        capability: 10 * major + minor of the GPU, or `INTERPRETER`.

    Raises:
        UnsupportedAttentionError: one sentence that names the first offending argument.
    """
    _require(
        capability == INTERPRETER or capability >= CAPABILITY_MIN,
        f"capability {capability} is too old: the kernels need {CAPABILITY_MIN} or newer",
    )
    _require(spec.num_kv_heads > 0, f"num_kv_heads must be positive, not {spec.num_kv_heads}")
    _require(
        spec.num_q_heads > 0 and spec.num_q_heads % spec.num_kv_heads == 0,
        f"num_q_heads {spec.num_q_heads} is no positive multiple of num_kv_heads "
        f"{spec.num_kv_heads}",
    )
    _require(
        spec.group_size <= GROUP_SIZE_MAX,
        f"num_q_heads / num_kv_heads is {spec.group_size}, above the limit of {GROUP_SIZE_MAX}",
    )
    _require(spec.head_dim in HEAD_DIMS, f"head_dim {spec.head_dim} is none of {HEAD_DIMS}")
    _require(spec.scale > 0, f"scale must be greater than 0, not {spec.scale}")
    _require(spec.block_size in BLOCK_SIZES, f"block_size {spec.block_size}: none of {BLOCK_SIZES}")
    _require(spec.dtype in DTYPES, f"dtype {spec.dtype} is none of {DTYPES}")
    _require(
        spec.dtype != torch.float32 or capability == INTERPRETER,
        "dtype float32 is for the interpreter; a GPU would round it to tf32",
    )
    _require(spec.kv_dtype in KV_DTYPES, f"kv_dtype {spec.kv_dtype!r} is none of {KV_DTYPES}")
    _require(spec.sliding_window >= 0, f"sliding_window is negative: {spec.sliding_window}")
    _require(spec.soft_cap >= 0, f"soft_cap is negative: {spec.soft_cap}")


def capability_of(device: torch.device) -> int:
    """Capability of a device: 10 * major + minor for CUDA, `INTERPRETER` for the CPU."""
    if device.type != "cuda":
        return INTERPRETER
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise UnsupportedAttentionError(sentence)
