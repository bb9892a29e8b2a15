"""What a Ray job of ours takes along: little, whatever lies in the folder."""

import re
from pathlib import Path

import pytest
import yaml
from ray._private.runtime_env.packaging import create_package

from spillway.batch.source import Source
from spillway.fleet import load
from spillway.progress import every_s

ROOT = Path(__file__).resolve().parents[2]
JOBS = ROOT / "deploy" / "jobs"
KIB = 1024


@pytest.mark.parametrize(("folder", "kib_max"), [(JOBS, 16), (ROOT, 10 * KIB)])
def test_a_working_directory_is_small(folder, kib_max, tmp_path):
    """As Ray packs it: the folder of the jobs, and the whole of a clone."""
    package = tmp_path / "package.zip"
    create_package(str(folder), package, include_gitignore=True, excludes=[])
    assert package.stat().st_size < kib_max * KIB


def test_the_runtime_environment_brings_nothing_and_has_the_log_written_at_once():
    """Three variables; whatever it installed would be installed for each job."""
    environment = yaml.safe_load((JOBS / "runtime-env.yaml").read_text())
    assert set(environment) == {"env_vars"}
    variables = environment["env_vars"]
    assert variables["PYTHONUNBUFFERED"] == "1"
    assert every_s(variables) == 10


def test_the_input_of_the_jobs_is_what_their_commands_take():
    """The fleet file, the requests, and the page that names them all."""
    file = load(JOBS / "fleet.yaml")
    assert [one.site for one in file.deployments] == ["home"]
    assert "batch" in file.fleet.slo_names
    assert len(Source(JOBS / "requests.jsonl")) == 2
    page = (ROOT / "docs" / "jobs.md").read_text()
    for path in JOBS.iterdir():
        assert re.search(rf"\b{re.escape(path.name)}", page)
