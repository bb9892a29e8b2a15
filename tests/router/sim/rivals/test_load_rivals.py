"""Rivals that look at load or at the session alone: their particular rules."""

from collections import Counter

from router.policy.units import NS_PER_S
from router.sim.rivals.consistent_hash import ConsistentHash
from router.sim.rivals.peak_ewma import PeakEwma
from router.sim.rivals.sageserve import SageServe
from tests.router.sim.rivals.driver import Driver


def test_peak_ewma_believes_a_peak_at_once_and_forgets_it_slowly():
    """One slow answer turns the load away; after several decay times it is back."""
    driver = Driver(PeakEwma(), "home/0", "home/1")
    slow = driver.send()
    driver.first(slow, ttft_ms=3000)
    other = {"home/0": "home/1", "home/1": "home/0"}[slow.endpoint]
    sent = [driver.send() for _ in range(5)]
    assert {send.endpoint for send in sent} == {other}
    driver.now += 60 * NS_PER_S
    for send in sent:
        driver.first(send, ttft_ms=100)
    assert driver.send().endpoint == slow.endpoint


def test_peak_ewma_averages_in_what_is_lower():
    """After one decay time of low latencies, the estimate has fallen by 1 - 1/e of the way."""
    rival = PeakEwma()
    driver = Driver(rival, "home/0")
    driver.first(driver.send(), ttft_ms=1000)
    driver.now += 10 * NS_PER_S
    driver.first(driver.send(), ttft_ms=0)
    assert 0.36e9 < rival._estimate("home/0", driver.now).rtt_ns < 0.38e9


def test_peak_ewma_multiplies_by_what_is_pending():
    """Endpoints of equal latency fill evenly while nothing answers."""
    driver = Driver(PeakEwma(), "home/0", "home/1")
    assert Counter(driver.sends(40)) == {"home/0": 20, "home/1": 20}


def test_consistent_hash_keeps_sessions_and_moves_only_those_of_the_lost():
    """A session stays; when an endpoint leaves, others' sessions do not move."""
    driver = Driver(ConsistentHash(), *(f"home/{i}" for i in range(5)))
    before = {f"s{i}": driver.send(session=f"s{i}").endpoint for i in range(300)}
    assert all(driver.send(session=s).endpoint == before[s] for s in before)
    assert min(Counter(before.values()).values()) > 30
    driver.rival.on_endpoint_gone("home/2", 0)
    after = {s: driver.send(session=s).endpoint for s in before}
    assert all(after[s] == before[s] for s in before if before[s] != "home/2")
    assert "home/2" not in after.values()


def test_sageserve_takes_the_first_region_with_memory_to_spare():
    """The nearest below 0.7 of its memory, else the one that uses least."""
    driver = Driver(SageServe(), "far/0", "near/0", "near/1", rtt_ms={"near": 1, "far": 30})
    assert driver.send().site == "near"
    driver.report("near/0", kv_usage=0.9)
    assert driver.send().site == "near"
    driver.report("near/1", kv_usage=0.6)
    assert driver.send().site == "far"
    driver.report("far/0", kv_usage=0.8)
    assert driver.send().site == "near"


def test_sageserve_takes_the_replica_with_the_fewest_tokens_outstanding():
    """One long prompt outweighs two short ones."""
    driver = Driver(SageServe(), "near/0", "near/1")
    first = driver.send(prompt=10_000).endpoint
    assert first not in driver.sends(3, prompt=500)
