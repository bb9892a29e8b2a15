"""`python -m benchmarks.dataplane.soak`: two hours' worth of clients that come and go, in minutes.

Short streams, some cancelled, some lost with their client's connection: after a fifth of them for
warming up, memory, file descriptors and asyncio's tasks must be flat.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.dataplane.churn import Churn, Churned
from benchmarks.dataplane.process import Running, resident_bytes, running
from benchmarks.report import Table, print_table
from benchmarks.report_page import add_options, publish
from spillway.progress import Progress

STREAMS: Final = 200_000
_AT_ONCE: Final = 64
_CONNECTIONS: Final = 8
_SAMPLES: Final = 20
_WARM_SHARE: Final = 0.2
_IDLE_S: Final = 20.0

BYTES_PER_STREAM_MAX: Final = 100
"""That memory may grow by: an hour at a hundred streams a second is 36 MB, a day is restarted for.
gRPC itself keeps a little of a call that is cancelled."""

SLACK_BYTES: Final = 16 * 1024 * 1024  # of the allocator, whose arenas come in steps


@dataclass(frozen=True, slots=True)
class Sample:
    """The router after so many streams."""

    streams: int
    seconds: float
    resident_mib: float
    files: int
    tasks: int
    calls: int


def flat(samples: Sequence[Sample], idle: Sequence[Sample]) -> list[str]:
    """What is not flat, a sentence each; `idle` is without any client, before and after."""
    before, after = idle
    warm = [one for one in samples if one.streams >= _WARM_SHARE * samples[-1].streams]
    grown = (warm[-1].resident_mib - warm[0].resident_mib) * 2**20
    streams = warm[-1].streams - warm[0].streams
    wrong = []
    if grown > SLACK_BYTES + BYTES_PER_STREAM_MAX * streams:
        wrong.append(f"memory grew by {grown / 2**20:.1f} MiB in {streams} streams")
    if after.files > before.files:
        wrong.append(f"{after.files - before.files} more file descriptors are open than before")
    if after.tasks > before.tasks:
        wrong.append(f"{after.tasks - before.tasks} more tasks run than before")
    if after.calls:
        wrong.append(f"{after.calls} calls are open though no client is")
    return wrong


async def soak(streams: int, seed: int) -> dict[str, Any]:
    """Runs it; samples, how the streams ended, and what was wrong."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        counts = Path(folder) / "counts"
        async with (
            running("benchmarks.dataplane.engine", ["--interval-ms", "1"]) as engine,
            running(
                "benchmarks.dataplane.spillway_router",
                ["--to", engine.address, "--counts", str(counts)],
            ) as router,
        ):
            look = _Look(router, counts)
            samples, idle, ended = await asyncio.to_thread(_churn, look, streams, seed)
    wrong = flat(samples, idle)
    wrong += [f"{count} streams ended with: {reason}" for reason, count in ended.errors.items()]
    return {
        "samples": [asdict(one) for one in samples],
        "idle": [asdict(one) for one in idle],
        "streams": asdict(ended),
        "wrong": wrong,
    }


def _churn(look: "_Look", streams: int, seed: int) -> tuple[list[Sample], list[Sample], Churned]:
    samples: list[Sample] = []

    before = look.when_idle(0, None)
    churn = Churn(look.router.address, _AT_ONCE, _CONNECTIONS, seed)
    with Progress("streams", streams) as progress:

        def sample(ended: int) -> None:
            samples.append(look.now(ended))
            progress.at(ended, f"{samples[-1].resident_mib:.1f} MiB")

        churn.run(streams, sample, max(1, streams // _SAMPLES))
    churn.close()
    return samples, [before, look.when_idle(streams, before)], churn.ended


class _Look:
    """Looks at the router from outside, and at what it writes of itself."""

    def __init__(self, router: Running, counts: Path) -> None:
        self.router = router
        self._counts = counts
        self._begun_s = time.monotonic()

    def now(self, streams: int) -> Sample:
        """A sample."""
        counted = json.loads(self._counts.read_text(encoding="ascii"))
        return Sample(
            streams=streams,
            seconds=time.monotonic() - self._begun_s,
            resident_mib=resident_bytes(self.router.pid) / 2**20,
            files=len(list(Path(f"/proc/{self.router.pid}/fd").iterdir())),
            tasks=counted["tasks"],
            calls=counted["calls"],
        )

    def when_idle(self, streams: int, like: Sample | None) -> Sample:
        """A sample when nothing is open, or what is left after a while."""
        give_up_s = time.monotonic() + _IDLE_S
        while True:
            time.sleep(0.5)  # longer than the router takes to write its counts anew
            one = self.now(streams)
            left = like is not None and (one.files > like.files or one.tasks > like.tasks)
            if not (one.calls or left) or time.monotonic() > give_up_s:
                return one


def _show(result: dict[str, Any]) -> Table:
    columns = ("streams", "seconds", "MiB", "files", "tasks", "open calls")
    rows = [
        (
            *(f"{one['streams']}", f"{one['seconds']:.0f}", f"{one['resident_mib']:.1f}"),
            *(f"{one['files']}", f"{one['tasks']}", f"{one['calls']}"),
        )
        for one in (result["idle"][0], *result["samples"], result["idle"][1])
    ]
    ended = result["streams"]
    note = f"{ended['finished']} finished, {ended['cancelled']} cancelled, {ended['lost']} lost"
    shown = print_table("The router while clients come and go", columns, rows, note=note)
    print(*_verdict(result), sep="\n")
    return shown


def _verdict(result: dict[str, Any]) -> list[str]:
    return list(result["wrong"] or ["Memory, files and tasks are flat."])


def main() -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.soak")
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--seed", type=int, default=1)
    add_options(parser)
    options = parser.parse_args()
    result = asyncio.run(soak(options.streams, options.seed))
    publish(options, "A soak", result, [_show(result)], _verdict(result))
    return 1 if result["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
