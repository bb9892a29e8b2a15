"""A real Prometheus in front of a real router: every query and every rule of what is deployed."""

import asyncio
import json
from dataclasses import replace
from functools import partial

import pytest
import yaml

from tests.deploy.monitoring import MONITORING, everything_on, queries, rules
from tests.deploy.prometheus import MISSING, installed, prometheus, promtool
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, address, ask, engine, fleet_of
from tests.router.live.hosting import received, workers
from tests.waiting import wait_until

TESTS = MONITORING / "alerts.test.yaml"
PARENT = f"00-{7:032x}-00f067aa0ba902b7-01"
VARIABLES = {"$__rate_interval": "1m", "$site": ".*"}
QUIET = (  # that nothing has happened of which they tell
    "spillway_attempts_total", '{code!="OK"}', "spillway_hedges_total",
)  # fmt: skip

pytestmark = pytest.mark.skipif(not installed(), reason=MISSING)


def as_grafana_asks(expression):
    """A query of the dashboard with its variables filled in."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


@pytest.fixture
async def watched(tmp_path):
    """A Prometheus that has scraped a router twice, between which it has had requests."""
    async with everything_on(tmp_path, metrics_listen="127.0.0.1:0") as routed:
        target = f"127.0.0.1:{routed.router.metrics_port}"
        with prometheus(tmp_path, [target], MONITORING / "alerts.yaml") as server:

            async def until_scraped():
                calls = "max_over_time(up[1m]) and on () count_over_time(spillway_sessions[1m]) > 1"
                await asyncio.to_thread(wait_until, lambda: server.query(calls), every_s=0.2)

            await until_scraped()
            await routed.stream(ask(session_id="s"), metadata=(("traceparent", PARENT),))
            counted = "increase(spillway_tenant_attempts_total[1m]) > 0"
            await asyncio.to_thread(wait_until, lambda: server.query(counted), every_s=0.2)
            yield server


async def test_every_query_of_the_dashboard_has_an_answer(watched):
    """Prometheus takes each, and finds series for each that is not about what goes wrong."""
    for expression, _ in queries():
        found = await asyncio.to_thread(watched.query, as_grafana_asks(expression))
        assert found or any(name in expression for name in QUIET), expression


async def test_every_rule_is_evaluated(watched):
    """Without an error, and of a router that fares well none fires."""

    def evaluated():
        [group] = watched.ask("rules")["groups"]
        return (
            group["rules"] if all(one["lastEvaluation"][0] != "0" for one in group["rules"]) else []
        )

    await asyncio.to_thread(wait_until, evaluated, every_s=0.2)
    told = await asyncio.to_thread(evaluated)
    assert [one["name"] for one in told] == [rule["alert"] for rule in rules()]
    wrong = [(one["name"], one.get("lastError")) for one in told if one["health"] != "ok"]
    assert wrong == []
    firing = {one["name"] for one in told if one["state"] == "firing"}
    assert firing <= {"SpillwayStoreAway"}  # which this router's is


def exemplars(server):
    """The traces that buckets of the latency name."""
    found = server.ask(
        "query_exemplars", query="spillway_ttft_seconds_bucket", start="0", end="9999999999"
    )
    return {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}


async def test_a_scraper_gets_exemplars(watched):
    """From a bucket of the latency to the trace of a request in it."""
    named = partial(exemplars, watched)
    await asyncio.to_thread(wait_until, named, every_s=0.2)
    assert await asyncio.to_thread(named) == {PARENT.split("-")[1]}


async def test_a_router_of_workers_is_scraped_as_one(tmp_path):
    """In the format that Prometheus asks for: counts of both, and the trace of a request."""
    settings = replace(SETTINGS, metrics_listen="127.0.0.1:0")
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)], settings, fleet_of(HOME, CLOUD)) as (receiver, where),
        workers(where) as both,
    ):
        for worker in both:
            await worker.stream(ask(), metadata=(("traceparent", PARENT),))
        target = f"127.0.0.1:{receiver.metrics_port}"
        with prometheus(tmp_path, [target], MONITORING / "alerts.yaml") as asked:
            for expression in (
                "up == 1",
                "spillway_workers == 2",
                'spillway_calls_total{code="OK"} == 2',
                'spillway_ttft_seconds_count{site="home"} == 2',
            ):
                await asyncio.to_thread(wait_until, partial(asked.query, expression), every_s=0.2)
            named = partial(exemplars, asked)
            await asyncio.to_thread(wait_until, named, every_s=0.2)
            assert await asyncio.to_thread(named) == {PARENT.split("-")[1]}


def test_the_rules_and_the_configuration_are_sound():
    """By Prometheus's own judgement, the runbooks' templates among them."""
    for kind, file in (("rules", "alerts.yaml"), ("config", "prometheus.example.yaml")):
        code, said = promtool("check", kind, file, cwd=MONITORING)
        assert code == 0, said


def test_each_alert_fires_for_what_it_is_about_and_nothing_else():
    """By rule tests that anybody may run after a change of a threshold."""
    expected = json.dumps(yaml.safe_load(TESTS.read_text()))
    untested = [
        one["alert"] for one in rules() if f'alertname=\\"{one["alert"]}\\"' not in expected
    ]
    assert untested == []
    code, said = promtool("test", "rules", TESTS.name, cwd=MONITORING)
    assert code == 0, said
