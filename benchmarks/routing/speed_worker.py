"""One replay by our simulator, timed: figures as a line of JSON, as dynamo_replay.py gives them.

    python -m benchmarks.routing.speed_worker TRACE WORKERS BLOCK_TOKENS SPEED POLICY

POLICY is a name of router.sim.rivals.registry. The trace is in memory before the clock starts.
"""

import gc
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks.routing.mocked import FLEET, figures_of, replay
from benchmarks.routing.mooncake import replayed
from router.sim.rivals.registry import POLICIES


def main() -> None:
    """Replay once and print the figures."""
    trace, workers, block_tokens, speed, policy = sys.argv[1:]
    sessions = list(replayed(Path(trace), int(block_tokens), float(speed)))
    gc.collect()
    gc.freeze()  # the trace is not looked through again and again: it would be streamed otherwise
    began_s = time.process_time()
    records = replay(sessions, int(workers), int(block_tokens), POLICIES[policy](FLEET))
    seconds = time.process_time() - began_s
    print(json.dumps({"seconds": seconds, **asdict(figures_of(records))}))


if __name__ == "__main__":
    main()
