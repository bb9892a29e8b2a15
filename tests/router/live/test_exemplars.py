"""From a bucket of a histogram to a trace of a request in it, where a scraper asks for that."""

from dataclasses import replace

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_S
from tests.router.live.conftest import HOME, SETTINGS, address, ask, engine, route
from tests.router.live.scripted import says, scripted, stays_silent

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
SETTINGS = replace(SETTINGS, metrics_listen="127.0.0.1:0")
PARENTS = [f"00-{n:032x}-00f067aa0ba902b7-01" for n in (1, 2, 3)]


@pytest.fixture
async def routed():
    """A router with metrics over one engine."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, SETTINGS) as found:
        yield found


async def scrape(routed, **headers):
    url = f"http://127.0.0.1:{routed.router.metrics_port}/metrics"
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        return await answer.text()


def exemplars(text, name):
    """Those of a histogram."""
    (family,) = (one for one in openmetrics(text) if one.name == name)
    return [sample.exemplar for sample in family.samples if sample.exemplar]


async def test_a_bucket_names_a_trace_of_a_request_in_it(routed):
    """Of its first token and of its gaps; each bucket the latest, so that there are few."""
    for parent in PARENTS:
        await routed.stream(ask(), metadata=(("traceparent", parent),))
    text = await scrape(routed, **OPENMETRICS)
    for name in ("spillway_ttft_seconds", "spillway_itl_seconds"):
        found = exemplars(text, name)
        assert 1 <= len(found) <= len(PARENTS)
        traces = {parent.split("-")[1] for parent in PARENTS}
        assert {exemplar.labels["trace_id"] for exemplar in found} <= traces
    assert routed.router._sinks.traces == {}


async def test_a_hedge_that_wins_names_its_request():
    """Whoever looks for what was slow looks for those."""
    slo = SloClass("chat", NS_PER_S, 5 * NS_PER_S, hedge_share=1.0)
    free = Site("cloud", SiteKind.RENTED, price=Price(committed_replicas=1))
    async with scripted(stays_silent) as home, scripted(says("x", "y")) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, SETTINGS, Fleet((HOME, free), (slo,), "chat")) as routed:
            await routed.stream(ask(session_id="s"), metadata=(("traceparent", PARENTS[0]),))
            text = await scrape(routed, **OPENMETRICS)
    (found,) = exemplars(text, "spillway_ttft_seconds")
    assert found.labels["trace_id"] == PARENTS[0].split("-")[1]


async def test_a_request_that_nobody_traces_is_named_by_none(routed):
    """Nor is one whose trace is not sampled: there would be nothing to see."""
    await routed.stream(ask())
    await routed.stream(ask(), metadata=(("traceparent", PARENTS[0].removesuffix("1") + "0"),))
    assert exemplars(await scrape(routed, **OPENMETRICS), "spillway_ttft_seconds") == []


async def test_a_scraper_that_does_not_ask_gets_none(routed):
    """The text format has no place for them."""
    await routed.stream(ask(), metadata=(("traceparent", PARENTS[0]),))
    text = await scrape(routed)
    assert PARENTS[0].split("-")[1] not in text
    assert {family.name for family in plain(text)} >= {"spillway_ttft_seconds"}
