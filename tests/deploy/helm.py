"""Charts, rendered by Helm itself: its own library, from a package that brings it.

It runs in a process of its own: it is written in Go, and brings threads and signal handlers that a
process of tests should not share.
"""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHARTS = ROOT / "deploy" / "charts"
OVERLAYS = ROOT / "deploy" / "overlays"

CASES = {
    "site-home": "spillway-site",
    "site-rented": "spillway-site",
    "site-cpu": "spillway-site",
    "router": "spillway-router",
    "router-gateway-api": "spillway-router",
}
"""The overlays, each with its chart."""

RENDER = """
import json, sys
import helm_python as helm
for line in sys.stdin:
    asked = json.loads(line)
    try:
        with helm.Chart.load(asked["chart"]) as chart:
            chart.validate_schema(asked["values"])
            files = chart.render(asked["values"], name=asked["name"], namespace=asked["namespace"])
        lint = helm.lint(asked["chart"], asked["values"], strict=True, kube_version="v1.30.0")
        answer = {"files": files, "lint": lint["errors"]}
    except helm.HelmError as error:
        answer = {"refusal": str(error)}
    print(json.dumps(answer), flush=True)
"""


class RefusedError(Exception):
    """Helm's own words about values that a chart does not take."""


def overlay(name):
    """The values of one of our overlays."""
    return yaml.safe_load((OVERLAYS / f"{name}.yaml").read_text())


def render(chart, values, name="site", namespace="spillway"):
    """The objects that a chart makes of values. Raises RefusedError."""
    text = _text(chart, json.dumps(values), name, namespace)
    return [one for one in yaml.safe_load_all(text) if one is not None]


@functools.cache
def _text(chart, values, name, namespace):
    asked = {
        "chart": str(CHARTS / chart),
        "values": json.loads(values),
        "name": name,
        "namespace": namespace,
    }
    answer = _helm().ask(asked)
    if "refusal" in answer:
        raise RefusedError(answer["refusal"])
    assert answer["lint"] == []
    return "\n---\n".join(text for path, text in answer["files"].items() if path.endswith(".yaml"))


class _Helm:
    """The process with Helm's library in it."""

    def __init__(self):
        _need_helm()
        self._process = subprocess.Popen(
            [sys.executable, "-c", RENDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, asked):
        """Its answer; pytest's own deadline is for one that never comes."""
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        assert answer, "Helm's process has ended: its traceback is above"
        return json.loads(answer)

    def end(self):
        """It ends when nobody asks any more."""
        self._process.communicate()


@functools.cache
def _helm():
    return _Helm()


def end():
    """Ends what was started."""
    if _helm.cache_info().currsize:
        _helm().end()


def _need_helm():
    """Leaves a test out where Helm's library is made for another machine; never in CI."""
    if importlib.util.find_spec("helm_python") is None:
        assert not os.environ.get("CI"), "helm-python-sdk is not installed: pip install '.[dev]'"
        pytest.skip("helm-python-sdk has no wheel for this machine")
