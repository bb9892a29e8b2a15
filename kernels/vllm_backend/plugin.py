"""The entry point in vLLM's group `vllm.general_plugins`, loaded in each of its processes."""

import os

VARIABLE = "SPILLWAY_ATTENTION"
"""Set to 1 for the processes of an engine whose attention these kernels shall compute."""

SHARED_PREFIX = "SPILLWAY_SHARED_PREFIX"
"""Set to 1 beside it to let decode rows that share leading pages read them once."""

BACKEND = "kernels.vllm_backend.backend.SpillwayAttentionBackend"


def register() -> None:
    """Tell vLLM where the backend is, if `SPILLWAY_ATTENTION=1` asks for it.

    On a GPU it becomes CUSTOM, which `--attention-backend CUSTOM` chooses. On a CPU, where vLLM
    knows one backend, it takes that one's place, in Triton's interpreter. It may be called often.

    Raises:
        RuntimeError: on a CPU, if Triton was imported without its interpreter.
    """
    if os.environ.get(VARIABLE) != "1":
        return
    # Not at the top: a process that does not ask pays nothing.
    from vllm.platforms import current_platform  # noqa: PLC0415
    from vllm.v1.attention.backends.registry import (  # noqa: PLC0415
        AttentionBackendEnum,
        register_backend,
    )

    if not current_platform.is_cpu():
        register_backend(AttentionBackendEnum.CUSTOM, BACKEND)
        return
    if os.environ.get("TRITON_INTERPRET") != "1":
        raise RuntimeError(
            f"{VARIABLE}=1 on a CPU runs the kernels in Triton's interpreter: "
            "set TRITON_INTERPRET=1 before anything imports vLLM"
        )
    register_backend(AttentionBackendEnum.CPU_ATTN, BACKEND)
