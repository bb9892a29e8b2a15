"""Rivals that follow cached prefixes: their particular rules."""

import pytest

from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.policy import Hold
from router.sim.rivals.dynamo_kv import DynamoKv
from router.sim.rivals.gorgo import Gorgo
from router.sim.rivals.home_only import HomeOnly
from router.sim.rivals.llm_d import LlmD
from router.sim.rivals.llm_d_latency import LlmDLatency
from router.sim.rivals.preble import PrebleE2
from router.sim.rivals.ray_prefix import RayPrefix
from router.sim.rivals.skylb import SkyLb
from router.sim.rivals.smg_cache_aware import SmgCacheAware
from tests.router.sim.rivals.driver import Driver, blocks

FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME), Site("far", SiteKind.RENTED)),
    slo_classes=(SloClass("default", NS_PER_S, 100 * NS_PER_MS),),
    default_slo="default",
)


@pytest.mark.parametrize("rival", [SmgCacheAware, RayPrefix, SkyLb, LlmD, DynamoKv.tuned])
def test_a_prompt_goes_where_most_of_it_was_sent(rival):
    """Three quarters of a prompt are known at one endpoint; that one gets it."""
    driver = Driver(rival(), *(f"home/{i}" for i in range(4)))
    first = driver.send(prefix=blocks(1))
    driver.finish(first)
    for _ in range(5):
        send = driver.send(prefix=blocks(1)[:75] + blocks(2, 25))
        assert send.endpoint == first.endpoint
        driver.finish(send)


def test_smg_leaves_the_prefix_when_load_is_uneven():
    """More than 32 apart: the shortest queue; the Python command's thresholds are 64 and 1.5."""
    for rival, limit in ((SmgCacheAware(), 32), (SmgCacheAware.python_defaults(), 64)):
        driver = Driver(rival, "home/0", "home/1")
        endpoints = driver.sends(limit + 2, prefix=blocks(1))
        assert set(endpoints[:-1]) == {endpoints[0]}
        assert endpoints[-1] != endpoints[0]


def test_smg_sends_what_is_unknown_to_the_smallest_tree():
    """After one long prompt, short ones go to the other worker until its tree is as large."""
    driver = Driver(SmgCacheAware(), "home/0", "home/1")
    long = driver.send(prompt=4000).endpoint
    assert long not in driver.sends(4, prompt=900)


def test_ray_takes_a_tenth_for_a_match_and_never_minds_the_load():
    """With its default threshold, infinite, no queue is too long."""
    driver = Driver(RayPrefix(), "home/0", "home/1")
    first = driver.send(prefix=blocks(1)).endpoint
    assert set(driver.sends(200, prefix=blocks(1)[:10] + blocks(2, 90))) == {first}
    assert driver.send(prefix=blocks(1)[:9] + blocks(3, 91)).endpoint != first


def test_preble_exploits_the_gpu_of_a_prefix_that_is_worth_it():
    """With all about equally loaded, more matched than missing decides."""
    driver = Driver(PrebleE2(), *(f"home/{i}" for i in range(4)))
    loaded = {driver.send(prefix=blocks(i)).endpoint: i for i in range(4)}
    assert len(loaded) == 4
    send = driver.send(prefix=blocks(loaded["home/2"])[:60] + blocks(8, 40))
    assert send.endpoint == "home/2"


def test_preble_explores_when_less_than_half_is_matched():
    """What must be computed is more than what is cached: the least loaded GPU gets it."""
    driver = Driver(PrebleE2(), "home/0", "home/1")
    first = driver.send(prefix=blocks(1)).endpoint
    assert driver.send(prefix=blocks(1)[:49] + blocks(2, 51)).endpoint != first


def test_preble_rebalances_from_a_gpu_with_half_as_much_again():
    """A hot prefix keeps its GPU until its load is 1.5 times the least."""
    driver = Driver(PrebleE2(), "home/0", "home/1")
    driver.send(prefix=blocks(9))
    assert len(set(driver.sends(10, prefix=blocks(1)))) == 2


def test_preble_forgets_load_after_three_minutes():
    """The window slides: an old load weighs nothing."""
    driver = Driver(PrebleE2(), "home/0", "home/1")
    first = driver.send(prompt=100_000).endpoint
    assert first not in driver.sends(3)
    driver.now += 181 * NS_PER_S
    assert first in driver.sends(20)


def test_dynamo_counts_blocks_in_use_once():
    """Two requests of one prompt use its blocks once; another prompt's come on top."""
    rival = DynamoKv()
    driver = Driver(rival, "home/0")
    sent = [driver.send(prefix=blocks(1)), driver.send(prefix=blocks(1))]
    same, other = driver.request(prefix=blocks(1)), driver.request(prefix=blocks(2))
    assert rival._in_use(same, "home/0") == 100
    assert rival._in_use(other, "home/0") == 200
    for send in sent:
        driver.finish(send)
    assert rival._in_use(same, "home/0") == 100
    assert rival._in_use(other, "home/0") == 100


def test_dynamo_cost_is_its_formula():
    """Prefill of 100 + 100 blocks, 60 of them cached; 100 in use and 40 more."""
    rival = DynamoKv(scale=8.0, credit=2.0)
    driver = Driver(rival, "home/0")
    driver.send(prefix=blocks(1))
    request = driver.request(prefix=blocks(1)[:60] + blocks(2, 40))
    assert rival._cost(request, "home/0") == 8.0 * (100 + 100 - 2 * 60) + 140


def test_dynamo_hears_what_a_cache_gained_and_lost():
    """Reported blocks count wherever they came from; evicted ones do not."""
    driver = Driver(DynamoKv.tuned(), "home/0", "home/1")
    driver.report("home/1", 1, prefix_added=blocks(1))
    assert driver.send(prefix=blocks(1)).endpoint == "home/1"
    driver.report("home/1", 2, prefix_removed=blocks(1))
    assert driver.send(prefix=blocks(1)).endpoint == "home/0"


def test_llm_d_adds_its_weighted_scores():
    """2 for the shortest queue, 2 for unused memory, 3 for the matched share."""
    rival = LlmD()
    driver = Driver(rival, "home/0", "home/1", "home/2")
    driver.report("home/0", waiting=4, kv_usage=0.5, prefix_added=blocks(1)[:50])
    driver.report("home/1", waiting=1, kv_usage=0.0)
    scores = rival.scores(driver.request(prefix=blocks(1)), ["home/0", "home/1", "home/2"])
    assert scores == pytest.approx({"home/0": 0 + 1 + 1.5, "home/1": 1.5 + 2, "home/2": 2 + 2})


def test_llm_d_latency_packs_where_the_objective_is_just_met():
    """Of two endpoints that meet it, the slower one; a third that misses gets nothing."""
    driver = Driver(LlmDLatency(FLEET), "home/0", "home/1", "home/2")
    for _ in range(60):
        for name, ttft_ms in (("home/0", 100), ("home/1", 600), ("home/2", 4000)):
            others = [other for other in driver.rival.endpoints if other != name]
            for other in others:
                driver.rival.on_connection(other, False, 0)
            driver.finish(driver.send(), ttft_ms)
            for other in others:
                driver.rival.on_connection(other, True, 0)
    sent = driver.send()
    driver.finish(sent)
    assert sent.endpoint == "home/1"


def test_gorgo_weighs_the_way_against_the_cache():
    """A far site wins only by a cached prefix that is worth the round trip."""
    driver = Driver(Gorgo(), "near/0", "far/0", rtt_ms={"near": 30, "far": 350})
    driver.rival.on_connection("near/0", False, 0)
    driver.finish(driver.send(prefix=blocks(1)))
    driver.rival.on_connection("near/0", True, 0)
    assert driver.send(prefix=blocks(1)[:30], prompt=500).site == "near"
    assert driver.send(prefix=blocks(1), prompt=1600).site == "far"


def test_gorgo_learns_its_rate_from_requests_without_a_queue():
    """Alone in its queue: 100 ms more than the round trip for 1,000 tokens."""
    rival = Gorgo()
    driver = Driver(rival, "near/0", rtt_ms={"near": 30})
    driver.finish(driver.send(prompt=1000), ttft_ms=130)
    assert rival._rate["near/0"] == pytest.approx(0.1)


def test_skylb_pushes_to_what_has_nothing_pending_then_to_a_peer_then_waits():
    """Own region first, a peer with an available replica next, the queue last, in its order."""
    driver = Driver(SkyLb(), "near/0", "near/1", "far/0", rtt_ms={"near": 1, "far": 30})
    driver.report("near/0", 1, waiting=2)
    assert driver.send().endpoint == "near/1"
    driver.report("near/1", 1, waiting=1)
    assert driver.send().endpoint == "far/0"
    driver.report("far/0", 1, waiting=1)
    first, second = driver.request(), driver.request()
    assert driver.decide(first) == Hold(first.id, 100 * NS_PER_MS)
    assert isinstance(driver.decide(second), Hold)
    driver.now = 100 * NS_PER_MS
    driver.report("near/0", 2, waiting=0)
    assert isinstance(driver.decide(second), Hold)
    assert driver.send(first).endpoint == "near/0"
    assert driver.send(second).endpoint == "near/0"


def test_skylb_leaves_the_prefix_when_load_is_uneven():
    """More than 32 apart: least in flight."""
    driver = Driver(SkyLb(), "near/0", "near/1")
    endpoints = driver.sends(34, prefix=blocks(1))
    assert set(endpoints[:-1]) == {endpoints[0]}
    assert endpoints[-1] != endpoints[0]


def test_home_only_does_not_know_of_rented_sites():
    """However far behind home is."""
    driver = Driver(HomeOnly(FLEET), "far/0", "home/0")
    assert set(driver.sends(50)) == {"home/0"}
