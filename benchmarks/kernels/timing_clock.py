"""How long the device takes: launches in a CUDA graph, replayed."""

from collections.abc import Callable, Sequence
from statistics import median

import torch

#: A replay is measured this often; the median stands.
REPLAYS = 15
COPY_BYTES = 2 * 1024**3
MATMUL_EDGE = 8192


def launch_us(launches: Sequence[Callable[[], object]]) -> float:
    """Microseconds of one launch, the launches being captured one after another in one graph.

    Args:
        launches: the same work on different memory, so that no cache holds what the next reads.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for launch in launches:
            launch()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for launch in launches:
            launch()
    graph.replay()
    times_us: list[float] = []
    for _ in range(REPLAYS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times_us.append(1000 * start.elapsed_time(end) / len(launches))
    return median(times_us)


def ceilings() -> tuple[float, float]:
    """Bytes a second of a copy, read and written, and operations a second of a bf16 product."""
    return 2 * COPY_BYTES / _copy_us() * 1e6, 2 * MATMUL_EDGE**3 / _product_us() * 1e6


def _copy_us() -> float:
    source = torch.randint(256, (COPY_BYTES,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return launch_us([lambda: target.copy_(source)])


def _product_us() -> float:
    a, b = torch.randn(2, MATMUL_EDGE, MATMUL_EDGE, device="cuda").to(torch.bfloat16)
    product = torch.empty_like(a)
    return launch_us([lambda: torch.mm(a, b, out=product)])
