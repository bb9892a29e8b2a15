"""An engine that counts behind the replica's own server, which requires leases.

The key is the environment's. `python -m benchmarks.dataplane.leased_engine --interval-ms 20` prints
its port, and ends with its standard input.
"""

import argparse
import asyncio
import os
import sys

from benchmarks.dataplane.engine import MODEL
from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_terms import read_terms
from serving.settings import ReplicaSettings
from serving.standalone import serve_standalone

RUNNING_MAX = 1_024


async def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.leased_engine")
    parser.add_argument("--interval-ms", type=float, required=True)
    options = parser.parse_args()
    settings = FakeSettings(itl_s=options.interval_ms / 1_000, max_running=RUNNING_MAX)
    terms = read_terms(ReplicaSettings(engine="fake", leases="required"), os.environ)
    server = await serve_standalone(
        FakeEngine(settings, (MODEL,)), requests_max=RUNNING_MAX, terms=terms
    )
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
