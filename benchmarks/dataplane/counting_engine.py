"""An engine that counts behind the replica's own server, in plaintext or with TLS.

`python -m benchmarks.dataplane.counting_engine --interval-ms 20 [--tls FOLDER]` prints its port,
and ends with its standard input.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from benchmarks.dataplane.certified import Certified
from benchmarks.dataplane.engine import MODEL
from serving.fake_engine import FakeEngine, FakeSettings
from serving.listening import Listening
from serving.standalone import serve_standalone

RUNNING_MAX = 1_024


async def main() -> None:
    """Serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.counting_engine")
    parser.add_argument("--interval-ms", type=float, required=True)
    parser.add_argument("--tls", type=Path, help="a folder with the certificates of a run")
    options = parser.parse_args()
    settings = FakeSettings(itl_s=options.interval_ms / 1_000, max_running=RUNNING_MAX)
    listening = Listening() if options.tls is None else Certified(options.tls).engine
    engine = FakeEngine(settings, (MODEL,))
    server = await serve_standalone(engine, listening, requests_max=RUNNING_MAX)
    print(server.port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
