"""`python -m benchmarks.chaos.rivals`: a kill and a hang behind each router that is installed."""

import argparse
import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.chaos.rivals.contest import contest, show
from benchmarks.report_page import add_options, publish


def main() -> int:
    """0; what is not installed is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos.rivals", description=__doc__)
    parser.add_argument("--programs", type=Path, help="folder with the rivals' programs")
    add_options(parser)
    options = parser.parse_args()
    rows, missing = asyncio.run(contest(options.programs))
    shown = show(rows, missing)
    figures = {"rivals": [asdict(row) for row in rows], "missing": missing}
    notes = [f"Missing: {sentence}" for sentence in missing]
    publish(options, "A kill and a hang behind other routers", figures, [shown], notes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
