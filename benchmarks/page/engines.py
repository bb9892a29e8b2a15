"""Fake engines in one process: `python -m benchmarks.page.engines FIRST_PORT COUNT ITL_S`.

It prints a port once all of them serve, at FIRST_PORT and those after it.
"""

import asyncio
import sys

from serving.fake_engine import FakeEngine, FakeSettings
from serving.listening import Listening
from serving.standalone import serve_standalone

RUNNING_MAX = 48
"""Streams that an engine runs: home is full before all sessions are there."""


async def main() -> None:
    """Serve until standard input closes."""
    first, count, itl_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    settings = FakeSettings(
        itl_s=itl_s, max_running=RUNNING_MAX, prefill_tokens_per_s=20_000, cache_blocks=4_096
    )
    servers = [
        await serve_standalone(FakeEngine(settings), Listening(port=first + number))
        for number in range(count)
    ]
    print(first, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.gather(*(server.stop() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
