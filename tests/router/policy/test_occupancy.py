"""What others have at an endpoint, by its reports."""

from router.policy.fleet import Limits
from router.policy.load import LoadReport
from router.policy.occupancy import Occupancy
from router.policy.units import NS_PER_S

_LIMITS = Limits(report_fresh_ns=NS_PER_S, report_stale_ns=11 * NS_PER_S)


def _report(sequence: int, running: int, waiting: int = 0, **more) -> LoadReport:
    return LoadReport("e", more.pop("instance", "1"), sequence, running, waiting, **more)


def test_own_requests_are_taken_off_what_is_reported():
    """Seven reported, four of them ours: three are others'."""
    seen = Occupancy(_LIMITS)
    seen.hear(_report(1, 5, 2, queued_prefill_tokens=300), own=4, own_tokens=100, now=0)
    assert (seen.others, seen.others_tokens) == (3, 200)


def test_fewer_reported_than_own_is_no_negative_load():
    """A report from before our requests arrived takes nothing off them."""
    seen = Occupancy(_LIMITS)
    seen.hear(_report(1, 0), own=4, own_tokens=100, now=0)
    assert (seen.others, seen.others_tokens) == (0, 0)


def test_duplicates_and_overtaken_reports_are_ignored():
    """Unless the instance is another: its count starts afresh."""
    seen = Occupancy(_LIMITS)
    assert seen.hear(_report(5, 5), 0, 0, 0)
    assert not seen.hear(_report(5, 9), 0, 0, 1)
    assert not seen.hear(_report(4, 9), 0, 0, 1)
    assert seen.hear(_report(1, 2, instance="2"), 0, 0, 2)
    assert seen.others == 2


def test_a_report_is_worth_less_with_age():
    """Fully while fresh, nothing when stale, linearly between."""
    seen = Occupancy(_LIMITS)
    assert seen.weight_at(0) == 0.0
    seen.hear(_report(1, 5), 0, 0, 0)
    weights = [seen.weight_at(s * NS_PER_S) for s in (0, 1, 6, 11, 100)]
    assert weights == [1.0, 1.0, 0.5, 0.0, 0.0]


def test_the_stated_limit_is_the_number_of_slots_less_what_is_lent():
    """A quarter lent away leaves three quarters."""
    seen = Occupancy(_LIMITS)
    seen.hear(_report(1, 1, running_max=8), 0, 0, 0)
    assert seen.slots == 8
    seen.hear(_report(2, 1, running_max=8, lent_share=0.25), 0, 0, 1)
    assert seen.slots == 6


def test_a_full_cache_limits_what_runs_at_once():
    """With the cache full and requests waiting, what runs is what can run."""
    seen = Occupancy(_LIMITS)
    seen.hear(_report(1, 5, 3, running_max=8, kv_usage=0.97), 0, 0, 0)
    assert seen.slots == 5


def test_an_unstated_limit_is_learned_when_something_waits():
    """Unknown, it is no limit; what ran while others waited is the least it can be."""
    seen = Occupancy(_LIMITS)
    seen.hear(_report(1, 6), 0, 0, 0)
    assert seen.slots == 0
    seen.hear(_report(2, 6, 1), 0, 0, 1)
    assert seen.slots == 6
    seen.hear(_report(3, 7), 0, 0, 2)
    assert seen.slots == 7


def test_a_load_that_wanders_makes_reports_old_sooner(rng):
    """Others that come and go within a second make a two-second-old report worth little."""
    steady, wild = Occupancy(_LIMITS), Occupancy(_LIMITS)
    for number in range(100):
        steady.hear(_report(number, 5 + number // 50), 0, 0, number * NS_PER_S // 2)
        wild.hear(_report(number, rng.randrange(11)), 0, 0, number * NS_PER_S // 2)
    now = 99 * NS_PER_S // 2 + 2 * NS_PER_S
    assert steady.weight_at(now) > 0.8
    assert wild.weight_at(now) < 0.2
    assert wild.silence_at(now) < 0.2
