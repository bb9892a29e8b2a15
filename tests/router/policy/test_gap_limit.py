"""The streams that may run at an endpoint are learned from those that ended."""

import random
from math import inf

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.gap_limit import GapLimit
from router.policy.gap_limits import GapLimits
from router.policy.load import LoadReport
from router.policy.request import Request
from router.policy.units import NS_PER_MS
from tests.router.policy.toy import MODEL, fleet

KEPT, MISSED = 0.0, 0.2
OBJECTIVE_NS = 100_000_000


class _Limit(GapLimit):
    """Streams whose mean gap is half of what is allowed, unless it is said."""

    def see(self, streams: float, slow_share: float, gap_ns: float = 0.5 * OBJECTIVE_NS) -> None:
        self.add(streams, gap_ns, slow_share)


def _limit() -> _Limit:
    return _Limit(OBJECTIVE_NS, 0.8, {})


@pytest.mark.parametrize("edge", [10, 30, 90])
def test_the_limit_finds_the_edge(edge):
    """Beyond so many streams all miss: the limit ends just below."""
    learned, rng = _limit(), random.Random(5)
    for _ in range(500):
        streams = rng.uniform(1, 2 * edge)
        learned.see(streams, MISSED if streams > edge else KEPT)
    assert 0.7 * edge <= learned.streams <= 1.1 * edge


def test_misses_that_fewer_streams_would_not_have_prevented_set_no_limit():
    """One stream in twenty misses, however many run beside it."""
    learned, rng = _limit(), random.Random(5)
    for _ in range(1_000):
        learned.see(rng.uniform(1, 60), MISSED if rng.random() < 0.05 else KEPT)
    assert learned.streams == inf


@pytest.mark.parametrize("counts", [(30,), (28, 29, 30, 31, 32)])
def test_chance_misses_beside_equal_counts_set_no_limit(counts):
    """Of streams with as many beside them, no limit holds back only those that missed."""
    learned, rng = _limit(), random.Random(5)
    for _ in range(2_000):
        learned.see(rng.choice(counts), MISSED if rng.random() < 0.08 else KEPT)
    assert learned.streams == inf


def test_a_report_of_long_gaps_sets_a_limit_before_any_stream_has_ended():
    """Answers may last a minute; two reports are enough."""
    learned = _limit()
    for streams in (60, 80, 100):
        learned.hear(streams, 95_000_000)
    assert learned.streams == inf
    learned.hear(120, 101_000_000)
    learned.hear(120, 101_000_000)
    assert 100 <= learned.streams < 120


def test_what_an_endpoint_does_not_tell_is_not_taken_for_short():
    """A report without the tail of its gaps says nothing."""
    learned = _limit()
    learned.hear(120, 0)
    assert not learned._recent


def test_an_endpoint_believes_what_one_like_it_has_found():
    """Until it finds a limit itself; what it found before it keeps."""
    found: dict[int, float] = {}
    limits = [GapLimits(0.8, found)[OBJECTIVE_NS] for _ in range(3)]
    for _ in range(3):
        limits[0].hear(50, 99_000_000)
        limits[0].hear(70, 101_000_000)
        limits[2].hear(30, 99_000_000)
        limits[2].hear(40, 101_000_000)
    assert limits[0].streams == 60
    limits[1].hear(20, 99_000_000)
    assert limits[1].streams == limits[2].streams
    assert limits[0].streams == 60


def test_what_is_believed_of_others_has_grown_with_their_limits():
    """Or an endpoint that comes later would begin with what was true of a slower one."""
    found: dict[int, float] = {}
    first, later = (GapLimits(0.8, found)[OBJECTIVE_NS] for _ in range(2))
    for _ in range(10):
        first.add(40.0, 0.0, MISSED)
    before = first.streams
    for _ in range(1_000):
        first.add(first.streams - 1.0, 0.0, KEPT)
    later.hear(20, 99_000_000)
    assert later.streams == first.streams > 1.1 * before


def _core(count: int) -> RouterCore:
    core = RouterCore(fleet())
    for number in range(count):
        core.on_endpoint_up(Endpoint(f"home-{number}", "home", MODEL), 0)
    return core


def test_only_an_endpoint_that_was_sent_an_objective_holds_a_limit_for_it(rng):
    """Not each that was judged; and reports teach it from then on."""
    core = _core(3)
    sent = core.on_request(Request("a", MODEL, prompt_tokens=500), 0, rng)
    assert isinstance(sent, Send)
    tracked = core._registry.by_name
    assert [name for name in tracked if tracked[name].gap_limits] == [sent.endpoint]


def test_reports_within_a_second_are_heard_as_one(rng):
    """They tell of the same gaps: one bad second is no limit, however often it is told."""
    core = _core(1)
    core.on_request(Request("a", MODEL, prompt_tokens=500), 0, rng)
    (limit,) = core._registry.by_name["home-0"].gap_limits.values()
    for number in range(1, 100):
        ms = 20 * number  # the first second, and most of the next
        report = LoadReport("home-0", "1", number, 30, itl_ns=50_000_000, itl_ns_p95=10**12)
        core.on_load(report, ms * NS_PER_MS)
        if ms < 1_000:
            assert limit.streams == inf
    assert limit.streams == 27.0
    assert len(limit._recent) == 8


@pytest.mark.parametrize("share", [0.5, 0.79, 0.81, 1.0, 1.3])
@pytest.mark.parametrize("alone_share", [0.1, 0.8, 1.1])
def test_where_no_limit_is_held_a_new_one_is_meant(share, alone_share):
    """Both say the same."""
    limits = GapLimits(0.8, {})
    asked = (50.0, share * OBJECTIVE_NS, alone_share * OBJECTIVE_NS, 1.0)
    flows = limits.flows(OBJECTIVE_NS, *asked)
    assert not limits
    assert flows == limits[OBJECTIVE_NS].flows(*asked)


def test_what_the_endpoints_of_a_model_found_goes_with_the_last_of_them():
    """A site that serves one model after another remembers those that it serves."""
    core = _core(2)
    found = core._registry.sites["home"].gap_limits
    core.on_endpoint_gone("home-0", 0)
    assert list(found) == [MODEL]
    core.on_endpoint_gone("home-1", 0)
    assert not found
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 1)
    core.on_endpoint_up(Endpoint("home-0", "home", "other"), 2)
    assert not found


def test_streams_that_miss_together_do_not_drive_the_limit_away():
    """A full endpoint misses with all its streams at once: the limit is a little below, no more."""
    learned = _limit()
    for _ in range(200):
        learned.see(80.0, MISSED)
    assert 60 < learned.streams < 80


def test_the_limit_grows_again_where_streams_keep_their_objective():
    """What got faster is found out, though not within one batch of streams."""
    learned = _limit()
    for _ in range(10):
        learned.see(40.0, MISSED)
    before = learned.streams
    for _ in range(1_000):
        learned.see(learned.streams - 1.0, KEPT)
    assert 1.1 * before < learned.streams < 1.5 * before


def test_an_endpoint_is_never_closed_by_its_gaps():
    """Even where every stream misses, one may run beside another."""
    learned = _limit()
    for _ in range(200):
        learned.see(0.5, MISSED)
    assert learned.streams >= 2


def test_a_stream_keeps_its_objective_with_a_twentieth_of_its_gaps_above():
    """The objective is about the p95."""
    for slow_share, edge in ((0.05, inf), (0.06, 45.0)):
        learned = _limit()
        for _ in range(20):
            learned.see(50.0, slow_share)
        assert learned.streams == edge


def test_longer_gaps_are_allowed_where_streams_keep_their_objective_with_them():
    """The mean may come close to the objective, if the tail allows it, and no longer."""
    learned = _limit()
    for _ in range(12_000):
        learned.see(10.0, KEPT, 0.95 * learned.gap_ns)
    assert learned.gap_ns == OBJECTIVE_NS
    for _ in range(300):
        learned.see(10.0, MISSED, OBJECTIVE_NS)
    assert learned.gap_ns == 0.8 * OBJECTIVE_NS
