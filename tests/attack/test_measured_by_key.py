"""The benchmark harness reaches a router that others reach, too: over TLS and with a key."""

import json

from tests.attack.programs import Program
from tests.attack.scene import KEYS

SHORT = (
    *("--mode", "closed", "--sessions", "3", "--warmup", "1", "--concurrency", "1"),
    *("--prompt-tokens", "4", "--output-tokens", "4", "--bytes-per-token", "1", "--model", "f"),
)


def measured(scene, tmp_path, *options, **environment):
    """How `spillway bench` ends, what it says, and what it wrote."""
    out = tmp_path / "out.json"
    command = ("spillway", "bench", "--address", scene.address, *SHORT, "--out", out, *options)
    bench = Program(tmp_path, "bench", *command, **environment)
    code = bench.process.wait(60)
    return code, bench.said, json.loads(out.read_text()) if out.exists() else None


def test_the_harness_shows_a_key_over_tls(scene, tmp_path):
    """The key from the environment, which no list of processes shows, nor what it writes."""
    authority = str(scene.pki.certificate)
    code, said, wrote = measured(scene, tmp_path, "--ca", authority, SPILLWAY_API_KEY=KEYS["acme"])
    assert code == 0, said
    assert [turn["status"] for turn in wrote["turns"]] == ["OK"] * 3
    assert KEYS["acme"] not in said + json.dumps(wrote)


def test_without_a_key_every_turn_is_refused(scene, tmp_path):
    """And the run says so with its end."""
    code, _, wrote = measured(
        scene, tmp_path, SPILLWAY_CA=str(scene.pki.certificate), SPILLWAY_API_KEY=""
    )
    assert code == 1
    assert {turn["status"] for turn in wrote["turns"]} == {"UNAUTHENTICATED"}


def test_a_certificate_without_whom_to_believe_is_refused(scene, tmp_path):
    """In one line, before anything is sent."""
    code, said, wrote = measured(scene, tmp_path, "--cert", "x.pem")
    assert (code, wrote) == (2, None)
    assert "--cert and --key need --ca" in said
