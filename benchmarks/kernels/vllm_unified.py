"""vLLM's own Triton attention kernel, from the installed package, as one more thing to compile.

Its two files are loaded by themselves: importing vLLM takes seconds, and on a machine without a GPU
vLLM replaces Triton by a stand-in. What they import of vLLM is a handful of names, stubbed here.
"""

import enum
import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import torch
import triton
import triton.language as tl

_OPS = "vllm.v1.attention.ops"
_HELPERS = f"{_OPS}.triton_attention_helpers"
_UNIFIED = f"{_OPS}.triton_unified_attention"


class UnifiedKernelMissingError(RuntimeError):
    """The installed environment has no vLLM, or one whose kernel has moved."""


class _KVQuantMode(enum.IntEnum):
    """The members that the launcher names."""

    NONE = 0
    FP8_PER_TENSOR = 1
    INT8_PER_TOKEN_HEAD = 2
    FP8_PER_TOKEN_HEAD = 3
    INT4_PER_TOKEN_HEAD = 4


def load_unified_attention(package: Path | None = None) -> ModuleType:
    """Load vLLM's module `triton_unified_attention` with real Triton inside.

    Args:
        package: the folder `vllm` of an unpacked wheel; None for the installed one.

    Raises:
        UnifiedKernelMissingError: with the reason, where it cannot be loaded.
    """
    folder = (package or _installed()) / "v1" / "attention" / "ops"
    with _stubs():
        try:
            for name in (_HELPERS, _UNIFIED):
                module = _load(name, folder / f"{name.rpartition('.')[2]}.py")
        except (OSError, ImportError, AttributeError) as error:
            raise UnifiedKernelMissingError(f"vllm's kernel does not load: {error}") from error
    return module


def _installed() -> Path:
    spec = importlib.util.find_spec("vllm")
    if spec is None or not spec.submodule_search_locations:
        raise UnifiedKernelMissingError("vllm is not installed: --vllm FOLDER of an unpacked wheel")
    return Path(spec.submodule_search_locations[0])


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def _stubs() -> Iterator[None]:
    """Stand-ins for what the two files import, for as long as they load."""
    platform = SimpleNamespace(
        fp8_dtype=lambda: torch.float8_e4m3fn,
        is_device_capability_family=lambda _capability: False,
    )
    contents: dict[str, dict[str, object]] = {
        "vllm": {},
        "vllm.envs": {"VLLM_BATCH_INVARIANT": False},
        "vllm.logger": {"init_logger": logging.getLogger},
        "vllm.platforms": {"current_platform": platform},
        "vllm.triton_utils": {"tl": tl, "triton": triton},
        "vllm.v1": {},
        "vllm.v1.attention": {},
        _OPS: {},
        "vllm.v1.kv_cache_interface": {"KVQuantMode": _KVQuantMode},
    }
    saved = {name: sys.modules.get(name) for name in (*contents, _HELPERS, _UNIFIED)}
    for name, values in contents.items():
        module = ModuleType(name)
        module.__path__ = []
        vars(module).update(values)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    try:
        yield
    finally:
        for name, module_or_none in saved.items():
            if module_or_none is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module_or_none
