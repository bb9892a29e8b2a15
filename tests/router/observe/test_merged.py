"""The metrics of several workers read as those of one router."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from router.observe.merged import SUMMED, Merged
from router.observe.sinks import Sinks
from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.rollout import Rollout

SAME_FOR_ALL = {
    "spillway_wanted_replicas",
    "spillway_budget_spent_usd",
    "spillway_budget_usd",
    "spillway_budget_warn_usd",
    "process_max_fds",
    "process_start_time_seconds",
    "spillway_discovery_failing",
    "spillway_endpoint_kv_usage",
    "spillway_endpoint_report_age_seconds",
    "spillway_endpoint_rtt_seconds",
    "spillway_endpoint_running",
    "spillway_endpoint_waiting",
    "spillway_endpoints",
    "spillway_lent_replicas",
    "spillway_lent_until_timestamp_seconds",
    "spillway_quarantined",
    "spillway_rollout_returned",
    "spillway_rollout_share",
    "spillway_site_draining",
    "spillway_site_lease_until_timestamp_seconds",
    "spillway_site_warming_share",
    "spillway_store_away",
    "spillway_store_routers",
    "spillway_workers",
}


def scraped(turns, ttfts_s, kv_usage, open_streams):
    registry = CollectorRegistry()
    counter = Counter("spillway_turns", "t", ("site",), registry=registry)
    counter.labels("home").inc(turns)
    histogram = Histogram("spillway_ttft_seconds", "t", buckets=(0.1, 1.0), registry=registry)
    for ttft_s in ttfts_s:
        histogram.observe(ttft_s)
    Gauge("spillway_endpoint_kv_usage", "t", registry=registry).set(kv_usage)
    Gauge("spillway_open_streams", "t", registry=registry).set(open_streams)
    return generate_latest(registry)


def values(merged):
    """Every sample but those of when it began, read as Prometheus reads it."""
    text = generate_latest(merged).decode()
    samples = (sample for f in text_string_to_metric_families(text) for sample in f.samples)
    return {(s.name, *s.labels.values()): s.value for s in samples if "_created" not in s.name}


def test_counts_add_up_and_what_all_see_alike_does_not():
    """Counters, each bucket of a histogram and own shares are sums."""
    merged = values(Merged([scraped(3, [0.05, 0.5], 0.4, 7), scraped(4, [2.0], 0.5, 1)]))
    assert merged["spillway_turns_total", "home"] == 7
    assert merged["spillway_ttft_seconds_bucket", "0.1"] == 1
    assert merged["spillway_ttft_seconds_bucket", "+Inf"] == 3
    assert merged["spillway_ttft_seconds_count",] == 3
    assert merged["spillway_endpoint_kv_usage",] == 0.5
    assert merged["spillway_open_streams",] == 8
    assert merged["spillway_workers",] == 2


def test_what_only_one_worker_has_is_kept():
    """A series of an endpoint that the others do not know."""
    merged = values(Merged([scraped(1, [], 0.0, 0), generate_latest(CollectorRegistry())]))
    assert merged["spillway_turns_total", "home"] == 1


def test_a_bucket_keeps_the_latest_exemplar_of_any_worker():
    """And another bucket its own, whichever worker has it."""
    scrapes = []
    for worker, ttfts_s in (("a", [0.05, 0.5]), ("b", [0.06])):
        registry = CollectorRegistry()
        histogram = Histogram("spillway_ttft_seconds", "t", buckets=(0.1, 1.0), registry=registry)
        for ttft_s in ttfts_s:
            histogram.observe(ttft_s, {"trace_id": f"{worker}-{ttft_s}"})
        scrapes.append(generate_latest(registry))
    for texts in (scrapes, scrapes[::-1]):
        text = generate_latest(Merged(texts)).decode()
        samples = (sample for f in text_string_to_metric_families(text) for sample in f.samples)
        named = {s.labels["le"]: s.exemplar.labels["trace_id"] for s in samples if s.exemplar}
        assert named == {"0.1": "b-0.06", "1.0": "a-0.5"}


def test_when_a_counter_began_is_the_earliest():
    """Not the sum of two times since 1970."""
    texts = [scraped(1, [], 0.0, 0), scraped(2, [], 0.0, 0)]
    alone, both = (generate_latest(Merged(one)).decode() for one in (texts[:1], texts))

    def began(text):
        samples = (sample for f in text_string_to_metric_families(text) for sample in f.samples)
        return {s.name: s.value for s in samples if s.name.endswith("_created")}

    assert began(alone) == began(both) != {}


def test_the_receiver_says_whose_dashboard_is_not_heard():
    """Workers have the gauge, and nothing to show in it."""
    fleet = Fleet((Site("home", SiteKind.HOME),), (SloClass("chat", 1, 1),), "chat")
    worker = generate_latest(Sinks(fleet, None).registry)
    merged = values(Merged([worker], {"home": True, "cloud": False}))
    assert merged["spillway_discovery_failing", "home"] == 1
    assert merged["spillway_discovery_failing", "cloud"] == 0


def test_of_every_gauge_it_is_said_whether_it_adds_up():
    """A new gauge of a router belongs into one of the two lists."""
    fleet = Fleet(
        (Site("home", SiteKind.HOME),),
        (SloClass("chat", 1, 1),),
        "chat",
        rollouts=(Rollout("llama", "llama-1", "llama-2", 0.1),),
    )
    sinks = Sinks(fleet, None)
    sinks.with_others()
    sinks.start(lambda: RouterCore(fleet).snapshot(0))
    gauges = {family.name for family in sinks.registry.collect() if family.type == "gauge"}
    assert "spillway_rollout_answers" in gauges
    assert gauges <= SUMMED | SAME_FOR_ALL
