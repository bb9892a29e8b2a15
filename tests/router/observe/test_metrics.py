"""What a history adds up to."""

import random
from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from router.observe import metrics as metrics_module
from router.observe import site_latency as latency_module
from router.observe.attempts import Attempts
from router.observe.event import Event, FleetChanged
from router.observe.fleet_collector import FleetCollector
from router.observe.metrics import Metrics
from router.observe.site_latency import SiteLatency
from router.observe.tell import tell
from router.policy.core import RouterCore
from router.policy.fleet import Site, SiteKind
from router.policy.outcome import End, Ended, FirstToken
from tests.router.observe.events import FLEET, history


def values_of(registry):
    lines = generate_latest(registry).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_events_move_the_counters():
    registry = CollectorRegistry()
    metrics = Metrics(registry, ("home", "cloud"))
    attempts = Attempts((metrics,))
    for event in history():
        attempts.on_event(event)
        metrics.on_event(event)
    values = values_of(registry)

    def total(name, label):
        return sum(v for key, v in values.items() if key.startswith(f"{name}{{") and label in key)

    assert total("spillway_attempts_total", 'end="ok"') == 12
    assert total("spillway_attempts_total", 'end="unreachable"') == 4
    assert total("spillway_retries_total", "site") == 4
    assert total("spillway_resumes_total", "site") == 1
    assert total("spillway_output_tokens_total", "site") == 132
    assert total("spillway_egress_bytes_total", "site") == 12 * 900
    assert total("spillway_ttft_seconds_count", "site") == 12
    assert values['spillway_decisions_total{rule="unknown_model",site=""}'] == 1


def test_a_scrape_shows_what_there_is():
    core = RouterCore(FLEET)
    events = history()
    rng = random.Random(events[0].happening.seed)
    for event in events:
        tell(core, event.happening, event.now_ns, rng)
    registry = CollectorRegistry()
    registry.register(FleetCollector(lambda: core.snapshot(events[-1].now_ns)))
    values = values_of(registry)
    assert values['spillway_site_draining{site="home"}'] == 1
    assert values['spillway_endpoint_running{endpoint="cloud/c",site="cloud"}'] == 1
    assert not any("home/a" in name for name in values)
    assert sum(v for k, v in values.items() if k.startswith("spillway_open_streams")) == 0
    assert sum(v for k, v in values.items() if k.startswith("spillway_turns_total")) == 18


def test_sites_that_come_and_go_leave_no_more_series_than_there_may_be(monkeypatch):
    """Whatever a fleet file names over the years; those that are there stay."""
    monkeypatch.setattr(metrics_module, "SITES_MAX", 5)
    registry = CollectorRegistry()
    metrics = Metrics(registry, ("home",))
    for number in range(20):
        sites = (Site("home", SiteKind.HOME), Site(f"s{number}", SiteKind.RENTED))
        metrics.on_event(Event(number, 0, FleetChanged(replace(FLEET, sites=sites))))
        metrics.watch_links(f"s{number}", int, int)
        metrics.set_wanted(f"s{number}", 1)
    shown = {
        sample.labels["site"]
        for family in registry.collect()
        for sample in family.samples
        if sample.labels.get("site")
    }
    assert shown == {"home", "s16", "s17", "s18", "s19"}


def test_a_stream_may_end_at_a_site_that_nothing_is_kept_of_any_more(monkeypatch):
    """A reload replaced more sites than are remembered: its client has the rest all the same."""
    monkeypatch.setattr(metrics_module, "SITES_MAX", 1)
    monkeypatch.setattr(latency_module, "SITES_MAX", 1)
    metrics, latency = Metrics(CollectorRegistry(), ("home",)), SiteLatency(("home",))
    changed = Event(1, 0, FleetChanged(replace(FLEET, sites=(Site("new", SiteKind.HOME),))))
    for sink in (metrics, latency):
        sink.on_event(changed)
        sink.on_first_token("home", FirstToken("r", "home/a", 1), 0)
        sink.on_ended("home", Ended("r", "home/a", End.OK, 2, 2, 10, 10), 5, 0)
    assert not any(latency.percentiles("home", 0))
