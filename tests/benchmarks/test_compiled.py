"""The compiled router is the router."""

import subprocess
import sys

import pytest

from benchmarks import compiled

PROGRAM = """
import random
from router.policy.core import RouterCore
from router.sim import engine
from tests.router.sim.test_world import run, FLEET
print(engine.__file__.rsplit(".", 1)[1])
print(repr(run([RouterCore(FLEET)], count=60)))
"""


def test_without_a_module_the_usage_is_printed(capsys):
    """And nothing is compiled."""
    assert compiled.main([]) == compiled.EXIT_USAGE
    assert "MODULE" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.compiles
def test_compiled_and_pure_decide_and_simulate_the_same(tmp_path, monkeypatch):
    """To the byte, over sixty sessions; the build is kept and found again.

    What mypyc made of the sources is what may be wrong, and not how the C compiler speeds it up.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = compiled.compiled(optimised=False)
    assert compiled.compiled(optimised=False) == folder
    outputs = []
    for path in (f"{folder}:{compiled.ROOT}", str(compiled.ROOT)):
        done = subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM],
            env={"PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.append(done.stdout.splitlines())
    assert [output[0] for output in outputs] == ["so", "py"]
    assert outputs[0][1] == outputs[1][1]
