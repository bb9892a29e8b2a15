"""A fake engine at a pace: `python -m benchmarks.faces.engine ITL_S` prints its port."""

import asyncio
import sys

from serving.fake_engine import FakeEngine, FakeSettings
from serving.standalone import serve_standalone


async def main() -> None:
    """Serve until standard input closes."""
    settings = FakeSettings(itl_s=float(sys.argv[1]), max_running=4096)
    server = await serve_standalone(FakeEngine(settings), requests_max=4096)
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
