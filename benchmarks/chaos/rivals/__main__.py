"""`python -m benchmarks.chaos.rivals`: a kill and a hang behind each router that is installed."""

import argparse
import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.chaos.rivals.contest import contest, show
from benchmarks.report import write_json


def main() -> int:
    """0; what is not installed is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.rivals", description=__doc__)
    parser.add_argument("--programs", type=Path, help="folder with the rivals' programs")
    parser.add_argument("--out", type=Path, help="write the result as JSON here")
    options = parser.parse_args()
    rows, missing = asyncio.run(contest(options.programs))
    show(rows, missing)
    if options.out is not None:
        write_json(options.out, {"rivals": [asdict(row) for row in rows], "missing": missing})
    return 0


if __name__ == "__main__":
    sys.exit(main())
