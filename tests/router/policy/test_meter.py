"""Whose the working time of a site's replicas is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.fleet import Price, Site, SiteKind
from router.policy.meter import Share, SiteMeter
from router.policy.units import NS_PER_S


def _meter(committed):
    return SiteMeter(_rented(committed))


def _rented(committed):
    return Site("rented", SiteKind.RENTED, price=Price(committed_replicas=committed))


def _begin(meter, now_s, prefill_s=0.0, endpoint="a", *, streams=True, more=0):
    share = Share(prefill_s * NS_PER_S)
    meter.begin(endpoint, share, now_s * NS_PER_S, streams=streams, more=more)
    return share


def _end(meter, share, now_s, endpoint="a", *, fewer=0):
    meter.end(endpoint, share, now_s * NS_PER_S, fewer=fewer)
    return share.ns / NS_PER_S, share.metered_ns / NS_PER_S


def test_a_request_alone_has_all_the_time_that_its_replica_worked():
    """From sending it to its end, whatever its prompt was taken to need."""
    meter = _meter(0)
    share = _begin(meter, 5, prefill_s=1, more=1)
    meter.first_token("a", share, 8 * NS_PER_S)
    assert _end(meter, share, 15, fewer=1) == (10.0, 10.0)


def test_streams_that_decode_together_share_equally():
    """One had the replica alone for ten seconds, both had it for ten more."""
    meter = _meter(0)
    first = _begin(meter, 0, more=1)
    meter.first_token("a", first, 0)
    second = _begin(meter, 10)
    meter.first_token("a", second, 10 * NS_PER_S)
    assert _end(meter, second, 20) == pytest.approx((5.0, 5.0))
    assert _end(meter, first, 20, fewer=1) == pytest.approx((15.0, 15.0))


def test_a_long_prompt_pays_for_the_time_in_which_it_holds_up_the_others():
    """Two seconds of prefill beside nine streams are its own; of the rest it has a tenth."""
    meter = _meter(0)
    streams = [_begin(meter, 0, more=int(not number)) for number in range(9)]
    for stream in streams:
        meter.first_token("a", stream, 0)
    long = _begin(meter, 10, prefill_s=2)
    meter.first_token("a", long, 13 * NS_PER_S)  # a second of the three went to decoding
    assert _end(meter, long, 23)[0] == pytest.approx(2.0 + 1.0)
    others = [_end(meter, one, 23, fewer=int(one is streams[-1]))[0] for one in streams]
    assert others == pytest.approx([(10.0 + 1.0) / 9 + 1.0] * 9)


def test_a_prompt_that_is_given_up_leaves_the_rest_to_the_streams():
    """What was held for it and not used up is the streams' that ran beside it."""
    meter = _meter(0)
    stream = _begin(meter, 0, more=1)
    meter.first_token("a", stream, 0)
    given_up = _begin(meter, 0, prefill_s=100)
    assert _end(meter, given_up, 10)[0] == pytest.approx(10.0)  # it was at work for all of it
    assert _end(meter, stream, 30, fewer=1)[0] == pytest.approx(20.0)


def test_committed_replicas_are_not_metered_and_more_are_so_by_their_part():
    """Of two busy replicas with one committed, half of each one's time is metered."""
    meter = _meter(1)
    first = _begin(meter, 0, more=1)
    second = _begin(meter, 10, endpoint="b", more=1)
    assert _end(meter, second, 20, "b", fewer=1) == pytest.approx((10.0, 5.0))
    assert _end(meter, first, 30, fewer=1) == pytest.approx((30.0, 5.0))


def test_what_is_committed_may_change_while_replicas_work():
    """What was until then stays as it was."""
    meter = _meter(0)
    share = _begin(meter, 0, more=1)
    meter.adopt(_rented(1), 10 * NS_PER_S)
    assert _end(meter, share, 30, fewer=1) == pytest.approx((30.0, 10.0))


def test_nothing_is_metered_where_all_is_committed():
    """At home, whatever works."""
    meter = SiteMeter(Site("home", SiteKind.HOME))
    shares = [_begin(meter, 0, endpoint=name, more=1) for name in "abc"]
    ends = [_end(meter, s, 9, name, fewer=1) for s, name in zip(shares, "abc", strict=True)]
    assert ends == [(9.0, 0.0)] * 3


_step = st.tuples(
    st.integers(0, 30),  # seconds that pass
    st.sampled_from("ab"),
    st.sampled_from(["begin", "whole", "first", "end"]),
    st.floats(0.0, 20.0),  # of prefill
    st.integers(0, 10),  # which of those that are open
)


@given(st.integers(0, 2), st.lists(_step, max_size=60))
def test_shares_add_up_to_the_time_that_the_replicas_worked(committed, steps):
    """In any order of beginnings, first tokens and ends, with whatever estimates."""
    meter, now, at = _meter(committed), 0, 0
    open_at = {"a": [], "b": []}
    worked = metered = total = total_metered = 0.0

    def close(endpoint, share):
        open_at[endpoint].remove(share)
        ns, metered_ns = _end(meter, share, now, endpoint, fewer=int(not open_at[endpoint]))
        assert ns >= -1e-9
        assert -1e-9 <= metered_ns <= ns + 1e-9
        return ns, metered_ns

    for passed, endpoint, what, prefill_s, which in [*steps, *[(1, "a", "", 0.0, 0)]]:
        now += passed
        busy = sum(map(bool, open_at.values()))
        worked += busy * (now - at)
        metered += max(0, busy - committed) * (now - at)
        at = now
        here = open_at[endpoint]
        if what in {"begin", "whole"}:
            streams = what == "begin"
            here.append(
                _begin(meter, now, prefill_s, endpoint, streams=streams, more=int(not here))
            )
        elif what and here:
            share = here[which % len(here)]
            if what == "first":
                meter.first_token(endpoint, share, now * NS_PER_S)
            else:
                ns, metered_ns = close(endpoint, share)
                total, total_metered = total + ns, total_metered + metered_ns
    for endpoint, shares in open_at.items():
        for share in list(shares):
            ns, metered_ns = close(endpoint, share)
            total, total_metered = total + ns, total_metered + metered_ns
    assert total == pytest.approx(worked)
    assert total_metered == pytest.approx(metered)
