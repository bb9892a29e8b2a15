"""What compiled kernels must look like, as sentences about those that do not."""

from collections.abc import Sequence

from benchmarks.kernels.compiled import Compiled

#: Bytes in flight on one multiprocessor that keep the memory busy: 3 MB over the 132 of an H200;
#: 1.2 MB (2 TB/s for 600 ns) over the 108 of an A100.
BYTES_AHEAD_MIN = {80: 11 * 1024, 90: 23 * 1024}
#: The first architecture with warp-group matrix products.
WGMMA_CAPABILITY = 90
RIVAL = "vllm"


def faults(kernels: Sequence[Compiled]) -> list[str]:
    """A sentence for each expectation that one of our kernels misses."""
    return [
        f"{kernel.title} for sm_{kernel.capability} by Triton {kernel.triton}: {fault}"
        for kernel in kernels
        if kernel.operation != RIVAL
        for fault in _faults(kernel)
    ]


def _faults(kernel: Compiled) -> list[str]:
    found = []
    if kernel.spills or kernel.stack_bytes:
        found.append(f"spills, {kernel.stack_bytes} bytes of stack a thread")
    if not kernel.attends:
        return found
    if kernel.kv_buffers < max(2, kernel.kv_buffers_planned):
        found.append(f"buffers {kernel.kv_buffers} KV tiles, not {kernel.kv_buffers_planned}")
    if kernel.resident < kernel.resident_planned:
        found.append(f"{kernel.resident} programs fit, not {kernel.resident_planned}")
    if kernel.operation == "paged_prefill":
        if kernel.capability >= WGMMA_CAPABILITY and not kernel.instructions["wgmma"]:
            found.append("prefill without wgmma")
    elif kernel.bytes_ahead < BYTES_AHEAD_MIN[kernel.capability]:
        found.append(f"{kernel.bytes_ahead} bytes in flight on a multiprocessor are too few")
    return found


def comparison(kernels: Sequence[Compiled]) -> list[tuple[str, str, float]]:
    """(ours, the rival's, how many times our instructions the rival's takes for one pair)."""
    rivals = {kernel.name.partition("-")[0]: kernel for kernel in kernels if _is_rival(kernel)}
    return [
        (kernel.title, rival.title, round(rival.per_pair / kernel.per_pair, 1))
        for kernel in kernels
        if kernel.attends
        and not _is_rival(kernel)
        and (rival := rivals.get(kernel.operation.removeprefix("paged_")))
        and kernel.name in {"d128", "specialised-d128"}
    ]


def _is_rival(kernel: Compiled) -> bool:
    return kernel.operation == RIVAL
