"""Writing keys and values into the paged cache, with RoPE, repacking and fp8 on the way."""

from kernels.cache_write.api import cache_write, rope_cache_write
from kernels.cache_write.rotary import Rotary

__all__ = ["Rotary", "cache_write", "rope_cache_write"]
