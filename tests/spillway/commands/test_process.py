"""The command as a process: quick to start, and quiet when it is interrupted or not read."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DEADLINE_S = 60.0
HEAVY = {"grpc", "ray", "torch", "vllm", "google.protobuf", "pydantic", "yaml", "jinja2", "aiohttp"}


@pytest.fixture
def start():
    """Starts `python -m spillway`; whatever still runs at the end is killed."""
    started = []

    def run(*arguments, address="127.0.0.1:1", **options):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "SPILLWAY_ADDRESS": address}
        process = subprocess.Popen(
            [sys.executable, "-m", "spillway", *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_help_imports_nothing_heavy():
    """Help and completion come at once: neither gRPC nor what reads files is loaded."""
    script = (
        "import sys, json\nfrom spillway.cli import run\nassert run(['--help']) == 0\n"
        f"print(json.dumps([one for one in {sorted(HEAVY)!r} if one in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
    steering = ("status", "explain", "top", "drain")
    for command in ("up", "site", "route", "door", "chat", "generate", *steering):
        assert f" {command} " in done.stdout


def test_the_client_needs_no_engine():
    """`pip install spillway` alone gives a client, a fleet file and a router."""
    script = (
        "import sys\nfor name in ('torch', 'ray', 'vllm', 'transformers', 'triton', 'numpy'):\n"
        "    sys.modules[name] = None\n"
        "import spillway.client, spillway.fleet, spillway.routing, spillway.site_application\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def test_an_unread_pipe_ends_it_quietly(start, router):
    """As under `| head`: no traceback, no complaint."""
    process = start("generate", "forever", "-n", "100000", address=router.address)
    assert process.stdout.read(4)
    process.stdout.close()
    assert process.wait(DEADLINE_S) == 141
    assert process.stderr.read() == ""
    router.wait_until_open(0)


@pytest.mark.parametrize(
    ("redirection", "reason"), [(">&-", "is closed"), (">/dev/full", "cannot be written")]
)
@pytest.mark.parametrize("command", ["status", "status --json", "generate 'count 3'"])
def test_an_output_that_takes_nothing_is_one_line(router, command, redirection, reason):
    """Closed, or on a disk that is full."""
    done = subprocess.run(
        ["sh", "-c", f"exec '{sys.executable}' -m spillway {command} {redirection}"],
        env=os.environ | {"PYTHONPATH": str(ROOT), "SPILLWAY_ADDRESS": router.address},
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"spillway: standard output {reason}")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_a_stream_cleanly(start, router):
    """Exit code 130, no traceback, and the request ends at the router."""
    process = start("generate", "forever", address=router.address)
    assert process.stdout.read(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(DEADLINE_S) == 130
    assert process.stderr.read() == ""
    router.wait_until_open(0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_router_ends_on_a_signal(start, tmp_path, number, code):
    """SIGTERM drains it, Ctrl-C cuts it off; it says where it listens first."""
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "sites: {cellar: {kind: home, endpoints: ['127.0.0.1:1']}}\n"
        "slo_classes: {interactive: {ttft: 1s, itl: 1s}}\n"
        "router: {listen: '127.0.0.1:0', metrics_listen: null, openai_listen: '127.0.0.1:0'}\n"
    )
    process = start("route", str(path))
    assert "Router at 127.0.0.1:" in process.stderr.readline()
    assert "nobody has to say who they are" in process.stderr.readline()
    assert "OpenAI's API at http://127.0.0.1:" in process.stderr.readline()
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == code
    assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("listen", "it is in use, or no address of this machine"),
        ("metrics_listen", "Address already in use"),
        ("openai_listen", "Address already in use"),
    ],
)
def test_a_port_that_is_taken_is_one_line(start, router, tmp_path, key, reason):
    """The address is named, and nothing of the libraries that listen."""
    path = tmp_path / "fleet.yaml"
    addresses = {"listen": "127.0.0.1:0", "metrics_listen": None, key: router.address}
    path.write_text(
        "sites: {cellar: {kind: home, endpoints: ['127.0.0.1:1']}}\n"
        "slo_classes: {interactive: {ttft: 1s, itl: 1s}}\n"
        f"router: {json.dumps(addresses)}\n"
    )
    process = start("route", str(path))
    assert process.wait(DEADLINE_S) == 1
    assert process.stderr.read() == f"spillway: cannot listen on {router.address}: {reason}\n"


def test_bench_hands_everything_to_the_harness(start):
    """Its options and its exit code are its own."""
    process = start("bench", "--rate", "never")
    _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 2
    assert "python -m benchmarks.serving: error: argument --rate" in err


def test_the_shell_completes_a_subcommand(start, monkeypatch):
    """Asked as a shell's completion asks; which shell the test runs under does not matter."""
    monkeypatch.setenv("_SPILLWAY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "spillway rou")
    monkeypatch.setenv("COMP_CWORD", "1")
    process = start()
    out, _ = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out.split()) == (0, ["route"])
