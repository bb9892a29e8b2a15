"""`python -m benchmarks.faces`: the router's CPU for a token, by the face it leaves through."""

import argparse
import asyncio
import statistics
import sys
import time

from benchmarks.dataplane.process import cpu_s, running
from benchmarks.faces.load import FACES
from benchmarks.report import print_table
from benchmarks.report_page import add_options, publish
from benchmarks.serving.summary import quantile
from spillway.progress import Progress

RATIO_MAX = 1.3
"""OpenAI's face against the native one: text is larger than protocol buffers, and that is all."""


async def measure(face: str, streams: int, seconds: float, itl_s: float) -> dict[str, float]:
    """One face under its load, with an engine and a router of its own."""
    async with (
        running("benchmarks.faces.engine", [str(itl_s)]) as engine,
        running("benchmarks.faces.router", [engine.address, face]) as router,
    ):
        await FACES[face](router.port, 1, 0.0)  # what is done once is done
        spent_s, began_s = cpu_s(router.pid), time.perf_counter()
        seen = await FACES[face](router.port, streams, seconds)
        took_s, spent_s = time.perf_counter() - began_s, cpu_s(router.pid) - spent_s
    return {
        "tokens_per_s": seen.tokens / took_s,
        "cpu_us_per_token": spent_s * 1e6 / seen.tokens,
        "ttft_ms_p50": quantile(seen.ttft_s, 0.5) * 1_000,
        "ttft_ms_p99": quantile(seen.ttft_s, 0.99) * 1_000,
    }


async def measure_all(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The medians of each face's repeats, which take turns."""
    runs: dict[str, list[dict[str, float]]] = {face: [] for face in FACES}
    with Progress("runs", options.repeats * len(runs)) as progress:
        for _ in range(options.repeats):
            for face, measured in runs.items():
                one = await measure(face, options.streams, options.seconds, options.itl_ms / 1_000)
                measured.append(one)
                progress.advance(said=face)
    return {
        face: {key: statistics.median(one[key] for one in measured) for key in measured[0]}
        for face, measured in runs.items()
    }


def main(arguments: list[str] | None = None) -> int:
    """The command; 1 where OpenAI's face costs more than RATIO_MAX allows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faces", description=__doc__)
    parser.add_argument("--streams", type=int, default=64, help="open at the same time")
    parser.add_argument("--itl-ms", type=float, default=20.0, help="between an engine's tokens")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run")
    parser.add_argument("--repeats", type=int, default=3)
    add_options(parser)
    options = parser.parse_args(arguments)
    medians = asyncio.run(measure_all(options))
    ratio = medians["openai"]["cpu_us_per_token"] / medians["native"]["cpu_us_per_token"]
    shown = print_table(
        f"{options.streams} streams, a token every {options.itl_ms:g} ms",
        ("face", "tokens/s", "CPU-us a token", "TTFT p50", "p99 ms"),
        [
            [
                face,
                f"{one['tokens_per_s']:.0f}",
                f"{one['cpu_us_per_token']:.1f}",
                f"{one['ttft_ms_p50']:.1f}",
                f"{one['ttft_ms_p99']:.1f}",
            ]
            for face, one in medians.items()
        ],
        note=f"OpenAI's face costs {ratio:.2f} times the native one's CPU for a token",
    )
    load = {"streams": options.streams, "itl_ms": options.itl_ms, "repeats": options.repeats}
    figures = {**load, "faces": medians}
    publish(options, "What a token costs by its face", figures, [shown])
    return 0 if ratio <= RATIO_MAX else 1


if __name__ == "__main__":
    sys.exit(main())
