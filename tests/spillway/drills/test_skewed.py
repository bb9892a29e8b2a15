"""A process whose wall clock is off, and nobody else's."""

import subprocess
import sys
import time


def test_the_module_runs_with_another_time_and_its_own_arguments(tmp_path):
    """Whether it asks in seconds or in nanoseconds."""
    (tmp_path / "clock.py").write_text(
        "import sys, time\nprint(time.time(), time.time_ns(), sys.argv[1:], __name__)\n"
    )
    before_s = time.time()
    command = [sys.executable, "-m", "spillway.drills.skewed", "3600", "clock", "a", "b=c"]
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": f".:{tmp_path}"}
    )
    now_s, now_ns, rest = found.stdout.split(" ", 2)
    assert 3_600 <= float(now_s) - before_s < 3_700
    assert abs(int(now_ns) / 1e9 - float(now_s)) < 1
    assert rest == "['a', 'b=c'] __main__\n"
    assert time.time() - before_s < 600
