"""The units of systemd: systemd reads them, and what they run is ours and Ray's own."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from router.live.settings import RouterSettings
from serving.placement import GRACEFUL_SHUTDOWN_S
from serving.serve_environment import CLUSTER_ENVIRONMENT
from spillway.commands.failure import Outcome
from tests.deploy.commands import spillway_takes
from tests.deploy.helm import ROOT
from tests.deploy.ray_side import start as ray_start

UNITS = ROOT / "deploy" / "systemd"
BIN = "/opt/spillway/bin"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
EXPOSURE_MAX = 25
"""Tenths of what `systemd-analyze security` calls the exposure: 10 is a service without a bound."""


def lines(name):
    """What a unit says, as pairs, in their order."""
    found = []
    for line in (UNITS / name).read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.append((key, value))
    return found


def one(name, key):
    """The value that a unit gives a key once."""
    [found] = [value for known, value in lines(name) if known == key]
    return found


def environment():
    """What ray.env sets."""
    text = (UNITS / "ray.env").read_text()
    pairs = [line.split("=", 1) for line in text.splitlines() if line and line[0] != "#"]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


@pytest.fixture
def installed(tmp_path):
    """The units as they would be installed, with programs that are there."""
    if shutil.which("systemd-analyze") is None:
        assert not os.environ.get("CI"), "systemd-analyze is missing: apt-get install systemd"
        pytest.skip("this machine has no systemd-analyze")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("spillway", "ray"):
        (programs / name).symlink_to(Path(sys.executable).with_name(name))
    for path in UNITS.iterdir():
        text = path.read_text().replace(BIN, str(programs))
        (tmp_path / path.name.replace("@.", "@ridge.")).write_text(text)
    return tmp_path


def analyze(folder, *arguments):
    """`systemd-analyze` with these arguments."""
    return subprocess.run(
        ["systemd-analyze", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_systemd_takes_every_unit(installed):
    """Each key and value, and the program that it starts."""
    units = [f"./{p.name}" for p in installed.iterdir() if p.suffix in {".service", ".timer"}]
    done = analyze(installed, "verify", "--man=no", *units)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    unit = installed / "spillway-router.service"
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystems=strict"))
    assert "ProtectSystems" in analyze(installed, "verify", "--man=no", f"./{unit.name}").stderr


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_shut_in(installed, name):
    """By systemd's own count of what a service could still do."""
    unit = name.replace("@.", "@ridge.")
    threshold = f"--threshold={EXPOSURE_MAX}"
    done = analyze(installed, "security", "--offline=true", threshold, f"./{unit}")
    assert done.returncode == 0, done.stdout[-400:]
    assert one(name, "User") == "spillway"
    assert one(name, "NoNewPrivileges") == "yes"
    assert one(name, "ProtectSystem") == "strict"
    assert one(name, "CapabilityBoundingSet") == ""


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_runs_is_there(name, tmp_path):
    """Our own command line and Ray's take every argument."""
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text((ROOT / "deploy" / "fleet.example.yaml").read_text())
    for key, value in lines(name):
        if key not in {"ExecStart", "ExecStartPre"}:
            continue
        line = value.replace("%i", "ridge")
        for variable, text in environment().items():
            line = line.replace(f"${{{variable}}}", text)
        assert "$" not in line
        program, *arguments = shlex.split(line)
        arguments = [a.replace("/etc/spillway/fleet.yaml", str(fleet)) for a in arguments]
        if program == f"{BIN}/ray":
            command, *options = arguments
            assert command == "start"
            ray_start.make_context("start", options)
        else:
            assert program == f"{BIN}/spillway"
            spillway_takes(arguments)


def test_every_node_has_the_environment_that_engines_need():
    """Serve reads it when its processes start."""
    assert CLUSTER_ENVIRONMENT.items() <= environment().items()
    for name in ("spillway-ray-head.service", "spillway-ray-node.service"):
        assert one(name, "EnvironmentFile") == "/etc/spillway/ray.env"


def test_what_is_stopped_gets_to_drain():
    """A router and the replicas of a node take as long as they say."""
    assert float(one("spillway-router.service", "TimeoutStopSec")) > (
        RouterSettings().drain_timeout_s + 30
    )
    for name in ("spillway-ray-head.service", "spillway-ray-node.service"):
        assert float(one(name, "TimeoutStopSec")) > GRACEFUL_SHUTDOWN_S
    [timeout] = shlex.split(one("spillway-site@.service", "ExecStart"))[-1:]
    assert float(one("spillway-site@.service", "TimeoutStartSec")) > float(timeout)


def test_a_router_is_not_started_again_for_what_that_does_not_mend():
    """A wrong command line, and a fleet file with problems."""
    codes = one("spillway-router.service", "RestartPreventExitStatus").split()
    assert {int(code) for code in codes} == {Outcome.USAGE, Outcome.FLEET_FILE}
