"""Runs a Python module in a process whose wall clock is off: `python -m spillway.drills.skewed`.

    python -m spillway.drills.skewed SECONDS MODULE ARGUMENT...

Only what Python asks of the clock is off, in this process alone: the machine's clock is
everybody's.
"""

import runpy
import sys
import time

NS_PER_S = 1_000_000_000


def skew(seconds: float) -> None:
    """Have the wall clock of this process be so much ahead, from now on."""
    ahead_ns = round(seconds * NS_PER_S)
    right_ns, right_s = time.time_ns, time.time
    time.time_ns = lambda: right_ns() + ahead_ns
    time.time = lambda: right_s() + seconds


def main() -> None:
    """Put the clock off, and be the module."""
    _, seconds, module, *arguments = sys.argv
    skew(float(seconds))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
