"""A real vLLM engine says the same with these kernels as with vLLM's own attention."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.vllm_backend.acts import ACTS

pytestmark = [pytest.mark.slow, pytest.mark.live]

DEADLINE_S = 280.0
ENTRY_POINTS = "[vllm.general_plugins]\nspillway = kernels.vllm_backend.plugin:register\n"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """That of a process that finds the plugin, whether or not the project is installed."""
    folder = tmp_path_factory.mktemp("plugin")
    distribution = folder / "spillway_attention-0.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: spillway-attention\nVersion: 0\n"
    )
    (distribution / "entry_points.txt").write_text(ENTRY_POINTS)
    inherited = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    paths = os.pathsep.join([str(folder), str(Path.cwd())])
    return inherited | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def played(environment, *attention):
    """What the engine said of each act, and of itself."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kernels.vllm_backend.play", *attention],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("attention", [(), ("spillway",)], ids=["vllm", "spillway"])
def test_every_token_is_the_right_one(environment, attention):
    """Page edges, chunks, prefix hits, mixed steps, preemption, four sequences at once."""
    said = played(environment, *attention)
    assert said["attention"].split()[0] == (*attention, "CPU_ATTN")[0]
    assert ("+spillway" in said["version"]) == bool(attention)
    assert said["answers"] == {act.name: act.answers for act in ACTS}
    assert said["hit_tokens"] > 0, "no prompt found its prefix cached"
    assert said["preemptions"] > 0, "the sequences fitted: nothing was preempted"
