"""The dashboard and the alerts ask for nothing that a router does not tell."""

import re
from pathlib import Path

import grpc
import pytest

from tests.deploy.monitoring import board, everything_on, queries, rules

ROOT = Path(__file__).parents[2]

SELECTOR = re.compile(r"(\bspillway_\w+|\bup\b)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
LEGEND = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
SCRAPED = {"instance", "job"}
"""Labels that Prometheus adds."""

CODES = {code.name for code in grpc.StatusCode}


def told(registry):
    """The labels of each series that a router tells, and all values of each label."""
    names, values = {}, {}
    for family in registry.collect():
        for sample in family.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
            for label, value in sample.labels.items():
                values.setdefault((sample.name, label), set()).add(value)
    return names, values


@pytest.fixture
async def registry(tmp_path):
    """Of a router with everything that has metrics turned on."""
    async with everything_on(tmp_path) as routed:
        yield routed.router._sinks.registry


def test_the_dashboard_asks_for_something():
    """Each panel has its question, no two of them one number, and lies beside the others."""
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["targets"] for panel in panels if panel["type"] != "row")
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)


def asked_in_vain(expression, shown, names, values):
    """What an expression asks for and no router tells."""
    wrong, labels = [], {"le"} | SCRAPED
    for name, matchers in SELECTOR.findall(expression):
        if name == "up":  # Prometheus's own
            continue
        if name not in names:
            wrong.append(name)
            continue
        labels |= names[name]
        for label, operator, text in MATCHER.findall(matchers):
            if label not in names[name]:
                wrong.append(f"{name}{{{label}}}")
            known = CODES if label == "code" else values.get((name, label), set())
            several = text.split("|") if "~" in operator else [text]
            wrong += [value for value in several if value not in known | {"$site"}]
    grouped = [label.strip() for group in GROUPED.findall(expression) for label in group.split(",")]
    return wrong + [label for label in (*grouped, *LEGEND.findall(shown)) if label not in labels]


async def test_every_query_of_the_dashboard_has_its_metrics(registry):
    """By their names, their labels, and the values of labels that it picks."""
    names, values = told(registry)
    assert len(queries()) > 20
    for expression, shown in queries():
        assert asked_in_vain(expression, shown, names, values) == [], expression


async def test_every_alert_has_its_metrics_and_says_what_to_do(registry):
    names, values = told(registry)
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 10
    for rule in rules():
        notes = rule["annotations"]
        shown = notes["summary"] + notes["runbook"]
        assert asked_in_vain(rule["expr"], shown, names, values) == [], rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert len(notes["runbook"]) > 40


async def test_a_metric_that_a_runbook_names_is_told(registry):
    names, _ = told(registry)
    text = " ".join(rule["annotations"]["runbook"] for rule in rules())
    assert [name for name in re.findall(r"spillway_\w+", text) if name not in names] == []


def test_every_alert_is_documented():
    text = (ROOT / "docs" / "metrics.md").read_text()
    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in text] == []
