"""`spillway site` against a real Ray cluster: up, status, again, and down."""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from spillway import cli
from spillway.client import SyncClient
from spillway.local import ray_head
from spillway.local.kept import Kept
from spillway.local.ports import take_block
from spillway.ray_serve import RayServe, RayServeError
from tests.waiting import wait_until

pytestmark = [pytest.mark.live, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
HEAD_DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def dashboard_url():
    """A Ray head of its own, with ports of its own; a test leaves nothing deployed there."""
    block = take_block(random.SystemRandom())
    ports = ray_head.SitePorts(block)
    base = Path(tempfile.mkdtemp(prefix="spw-", dir="/tmp"))
    folder = base / "site"
    command = ray_head.command(ports, folder / "ray", cpus=3)
    environment = ray_head.environment(ports, folder, os.environ) | {"PYTHONPATH": str(ROOT)}
    with Kept(command, environment, folder):
        wait_until(lambda: _answers(RayServe(ports.dashboard_url)), HEAD_DEADLINE_S, every_s=0.25)
        yield ports.dashboard_url
    block.release()


def _answers(serve: RayServe) -> bool:
    try:
        serve.applications()
    except RayServeError:
        return False
    return True


def test_a_site_goes_up_and_down(dashboard_url, capsys):
    """Deployed by the dashboard's address alone; done twice it changes nothing."""

    def site(*arguments):
        code = cli.run(["site", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    assert site("status", dashboard_url, "--json")[0] == 1
    up = ("up", dashboard_url, "--set", "engine=fake", "--set", "model=counting")
    code, out, err = site(*up)
    assert code == 0, err
    address = out.strip()
    with SyncClient(address) as client:
        assert client.generate("7", max_new_tokens=4).text == " 8 9"
    code, out, err = site(*up)
    assert (code, out.strip()) == (0, address)
    assert "runs already" in err
    found = json.loads(site("status", dashboard_url, "--json")[1])
    assert (found["status"], found["replicas_running"]) == ("RUNNING", 1)
    code, _, err = site("down", dashboard_url, "--yes")
    assert code == 0, err
    assert site("status", dashboard_url)[0] == 1
    assert "not deployed" in site("down", dashboard_url, "--yes")[2]


def begun(*arguments):
    """A command of `spillway site` that runs, as a person would have begun it."""
    return subprocess.Popen(
        [sys.executable, "-m", "spillway", "site", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def done(child):
    """What it said, once it is over."""
    out, err = child.communicate(timeout=HEAD_DEADLINE_S)
    assert child.returncode == 0, err
    return out, err


def named(url, name):
    """The arguments that deploy engines under a name of their own."""
    engine = ("--set", "engine=fake", "--set", "model=counting")
    return ("up", url, "--application", name, *engine)


def test_commands_that_are_killed_go_on_and_those_at_once_do_not_undo_each_other(dashboard_url):
    """SIGKILL amid each; two operators in the same moment; both sites serve, and both are gone."""
    killed = begun(*named(dashboard_url, "one"))
    assert "deploying" in killed.stderr.readline()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    pair = [begun(*named(dashboard_url, name)) for name in ("one", "two")]
    addresses = [done(child)[0].strip() for child in pair]
    assert len({*addresses}) == 2
    for address in addresses:
        with SyncClient(address) as client:
            assert client.generate("7", max_new_tokens=4).text == " 8 9"
    down = ("down", dashboard_url, "--yes", "--application")
    killed = begun(*down, "one")
    assert "removing" in killed.stderr.readline()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    for child in [begun(*down, name) for name in ("one", "two")]:
        done(child)
    assert RayServe(dashboard_url).applications() == {}
