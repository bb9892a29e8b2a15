"""Routers and replicas that are processes write their logs as lines."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from spillway.client import SyncClient
from tests.trust.processes import until_up
from tests.waiting import DEADLINE_S, wait_until

ADDRESS = re.compile(r"127\.0\.0\.1:\d+")


@contextmanager
def logged(said, *arguments):
    """`python -m ...` whose output goes to a file; the address that it names."""
    with said.open("w") as to:
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            stdout=to,
            stderr=to,
            env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        )
    try:
        wait_until(lambda: ADDRESS.search(said.read_text()))
        yield ADDRESS.search(said.read_text())[0]
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def documents(said):
    """The lines of a file that are JSON."""
    return [json.loads(line) for line in said.read_text().splitlines() if line.startswith("{")]


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_request_has_the_same_id_in_all_logs(tmp_path, workers):
    """Each line is a document, and none has the prompt."""
    engine_log, router_log = tmp_path / "engine.log", tmp_path / "router.log"
    fleet = {
        "slo_classes": {"chat": {"ttft": "60s", "itl": "60s"}},
        "router": {"listen": "127.0.0.1:0", "metrics_listen": None},
    }
    replica = ("serving.standalone", "engine=fake", "model=f", "log_format=json")
    with logged(engine_log, *replica) as engine:
        fleet["sites"] = {"home": {"kind": "home", "endpoints": [engine]}}
        (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet))
        route = ("spillway", "route", tmp_path / "fleet.yaml", "--log-format", "json")
        with logged(router_log, *route, "--workers", workers) as at, SyncClient(at) as asking:
            until_up(asking, engine)
            answer = asking.generate("7 secret", max_new_tokens=3, session="a\nb")
            wait_until(lambda: documents(router_log) and documents(engine_log))
    (request,) = (line for line in documents(router_log) if line["logger"] == "spillway.request")
    (done,) = documents(engine_log)
    assert request["request_id"] == done["request_id"] == answer.ending.request_id
    assert (request["message"], done["message"]) == ("request", "answer")
    assert (request["session"], request["code"]) == ("a\nb", "OK")
    assert "secret" not in engine_log.read_text() + router_log.read_text()


def test_a_line_of_text_is_one_line_whoever_asks(tmp_path):
    """By the fleet file, and with the prompt where it says so."""
    said = tmp_path / "router.log"
    with logged(tmp_path / "e.log", "serving.standalone", "engine=fake", "model=f") as engine:
        fleet = {
            "sites": {"home": {"kind": "home", "endpoints": [engine]}},
            "slo_classes": {"chat": {"ttft": "60s", "itl": "60s"}},
            "router": {
                "listen": "127.0.0.1:0",
                "metrics_listen": None,
                "log": {"format": "text", "prompts": True},
            },
        }
        (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(fleet))
        with logged(said, "spillway", "route", tmp_path / "fleet.yaml") as at:
            with SyncClient(at) as asking:
                until_up(asking, engine)
                asking.generate("7\n2026 INFO x code=OK", max_new_tokens=3)
            wait_until(lambda: "spillway.request" in said.read_text())
    (line,) = (line for line in said.read_text().splitlines() if "spillway.request" in line)
    assert '"7\\n2026 INFO x code=OK"' in line
    assert line.endswith("code=OK") or " code=OK " in line
