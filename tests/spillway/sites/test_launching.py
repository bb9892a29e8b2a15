"""A cluster on hosts by Ray's own launcher: the file is checked, the commands are arguments."""

import subprocess
from pathlib import Path

import pytest

from spillway.sites.launching import LaunchError, head_of, launch, read_launch, shown

EXAMPLE = Path(__file__).parents[3] / "deploy" / "hosts" / "ray-cluster.yaml"


class Run:
    """Stands for subprocess.run."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.commands = []

    def __call__(self, command, **_):
        self.commands.append(command)
        code, out = self.answers.pop(0)
        return subprocess.CompletedProcess(command, code, out, "went wrong")


def test_the_example_is_one_that_ray_takes():
    """By the schema of the installed Ray, for its `local` provider."""
    found = read_launch(EXAMPLE)
    assert (found.cluster, found.provider) == ("ridge", "local")
    assert found.hosts == ("10.9.1.2", "10.9.1.3", "10.9.1.4")
    assert shown(found.command) == f"ray up --yes --no-restart {EXAMPLE}"


def test_the_example_ends_nothing_that_runs_on_a_host():
    """It may be another cluster's."""
    assert "ray stop" not in EXAMPLE.read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("auth:", "idle_timeout_minutes: many\nauth:"), "is not of type"),
        (
            ("cluster_name: ridge", "cluster_nam: ridge"),
            "expected a file of Ray's cluster launcher",
        ),
        (("provider:\n", "flavour: x\nprovider:\n"), "'flavour' was unexpected"),
        (("head_ip: 10.9.1.2", "region: here"), "head_ip"),
        (("RAY_SERVE_ENABLE_DIRECT_INGRESS=1", "A=1"), "RAY_SERVE_ENABLE_DIRECT_INGRESS=1"),
        (("auth:", "auth: ["), "not YAML"),
    ],
)
def test_a_file_that_would_fail_on_the_hosts_is_refused_here(change, said, tmp_path):
    """Before any of them is touched."""
    path = tmp_path / "cluster.yaml"
    text = EXAMPLE.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(LaunchError, match=said):
        read_launch(path)
    with pytest.raises(LaunchError, match="cannot be read"):
        read_launch(tmp_path / "absent.yaml")


def test_the_cluster_is_started_and_its_dashboard_found():
    """By two commands, of which no shell reads the arguments."""
    found, run = read_launch(EXAMPLE), Run((0, ""), (0, "10.9.1.2\n"))
    assert launch(found, run) == "http://10.9.1.2:8265"
    assert run.commands == [found.command, found.head_command]


def test_a_launcher_that_fails_is_told():
    """What it said stands above."""
    found = read_launch(EXAMPLE)
    with pytest.raises(LaunchError, match="ended with 3"):
        launch(found, Run((3, "")))
    with pytest.raises(LaunchError, match="tells no address: went wrong"):
        head_of(found, Run((1, "")))
