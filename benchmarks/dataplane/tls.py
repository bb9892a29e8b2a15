"""What TLS costs a router: `python -m benchmarks.dataplane.tls`.

The same streams go through the same router in plaintext and with mutual TLS on both of its sides,
over links and call by call, in turn within each repeat. The CPU time of the router's process is
shared out over their tokens. Then new connections are made, one after the other, each for one
answer of one token.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.dataplane.certified import Certified
from benchmarks.dataplane.process import cpu_s, running
from benchmarks.report import Table, print_table
from benchmarks.report_page import add_options, publish
from spillway.client import Client, ClientTls
from spillway.progress import Progress

INTERVAL_MS, TOKENS, STREAMS = 20, 200, 32
CONNECTIONS = 100
SETTLE_S = 2.0


@dataclass(frozen=True, slots=True)
class Costs:
    """One way in one repeat. CPU is the router's, in microseconds; times in milliseconds."""

    way: str  # how streams come to the router: over a link, or each as a call
    tls: bool
    tokens_per_s: float
    cpu_us_per_token: float
    first_token_ms_p50: float  # of a connection, from nothing
    cpu_us_per_connection: float  # with its one request


async def measure(way: str, folder: Path | None, seconds: float) -> Costs:
    """Starts an engine and a router, with the certificates in `folder` or in plaintext."""
    given = [] if folder is None else ["--tls", str(folder)]
    tls = None if folder is None else Certified(folder).client
    paced = ["--interval-ms", str(INTERVAL_MS), *given]
    async with running("benchmarks.dataplane.counting_engine", paced) as engine:
        to = ["--to", engine.address, *given, *(() if way == "link" else ("--no-link",))]
        async with running("benchmarks.dataplane.spillway_router", to) as router:
            tokens, spent_s = await _streams(router.address, router.pid, tls, seconds)
            times_s, connecting_s = await _connections(router.address, router.pid, tls)
    return Costs(
        way,
        folder is not None,
        tokens / seconds,
        spent_s * 1e6 / max(1, tokens),
        statistics.median(times_s) * 1_000,
        connecting_s * 1e6 / CONNECTIONS,
    )


async def _streams(
    address: str, pid: int, tls: ClientTls | None, seconds: float
) -> tuple[int, float]:
    """The tokens that came in this time, and the CPU time that it took the router."""
    tokens, over = 0, asyncio.Event()

    async def keep_one_open(client: Client) -> None:
        nonlocal tokens
        while not over.is_set():
            async for chunk in client.stream("count on from 7", max_new_tokens=TOKENS):
                tokens += chunk.num_tokens

    async with Client(address, tls=tls) as client:
        work = [asyncio.create_task(keep_one_open(client)) for _ in range(STREAMS)]
        await asyncio.sleep(SETTLE_S)
        before_s, tokens = cpu_s(pid), 0
        await asyncio.sleep(seconds)
        spent_s, counted = cpu_s(pid) - before_s, tokens
        over.set()
        await asyncio.gather(*work)
    return counted, spent_s


async def _connections(address: str, pid: int, tls: ClientTls | None) -> tuple[list[float], float]:
    """From no connection to the first token, each time, and the router's CPU time for all."""
    times_s, before_s = [], cpu_s(pid)
    for _ in range(CONNECTIONS):
        begun_s = time.perf_counter()
        async with Client(address, tls=tls) as client:
            await client.generate("count on from 7", max_new_tokens=1)
            times_s.append(time.perf_counter() - begun_s)
    return times_s, cpu_s(pid) - before_s


async def _run(repeats: int, seconds: float) -> list[Costs]:
    with tempfile.TemporaryDirectory() as folder:
        certified = Path(folder) / "certificates"
        Certified.make(certified)
        asked = [(way, tls) for way in ("link", "calls") for tls in (None, certified)] * repeats
        with Progress("runs", len(asked)) as progress:
            return [await measure(way, tls, seconds) for way, tls in progress.each(asked)]


def show(measured: list[Costs]) -> Table:
    """Prints the medians, and what TLS adds to them."""
    rows = []
    for way in ("link", "calls"):
        plain, tls = (
            {
                name: statistics.median(getattr(one, name) for one in measured if _is(one, way, on))
                for name in ("cpu_us_per_token", "first_token_ms_p50", "cpu_us_per_connection")
            }
            for on in (False, True)
        )
        token, first, connection = (
            (plain[name], tls[name])
            for name in ("cpu_us_per_token", "first_token_ms_p50", "cpu_us_per_connection")
        )
        rows.append(
            (
                way,
                *(f"{one:.1f}" for one in token),
                f"{token[1] / token[0] - 1:+.1%}",
                *(f"{one:.2f}" for one in first),
                f"{first[1] - first[0]:+.2f}",
                f"{connection[1] - connection[0]:+.0f}",
            )
        )
    columns = (
        *("engine reached over", "CPU us/token", "with TLS", "added"),
        *("first token ms", "with TLS", "added", "CPU us/connection added"),
    )
    return print_table("What mutual TLS costs a router (medians of repeats)", columns, rows)


def _is(one: Costs, way: str, tls: bool) -> bool:
    return one.way == way and one.tls is tls


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.tls")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    add_options(parser)
    options = parser.parse_args()
    measured = asyncio.run(_run(options.repeats, options.seconds))
    shown = show(measured)
    figures = {"measured": [asdict(one) for one in measured]}
    publish(options, "What mutual TLS costs", figures, [shown])


if __name__ == "__main__":
    main()
