"""What counts as kept, and what a run's records add up to."""

import pytest

from benchmarks.routing.measures import Measures, keeps
from benchmarks.routing.series import BINS, series
from benchmarks.routing.sites import HOME, fleet_of, rented
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.record import TurnRecord

FLEET = fleet_of(HOME, rented("far", 10.0))


def turn(**changes):
    values = {
        "session": "s",
        "turn": 0,
        "sent_ns": 0,
        "prompt_tokens": 1_000,
        "output_tokens": 101,
        "site": "home",
        "endpoint": "home/0",
        "ttft_ns": NS_PER_S,
        "end_to_end_ns": 3 * NS_PER_S,
    }
    return TurnRecord(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"ttft_ns": 1_250 * NS_PER_MS}, True),  # 1 s and 0.25 ms for each of 1,000 tokens
        ({"ttft_ns": 1_251 * NS_PER_MS}, False),
        ({"slow_gaps": 5}, True),  # a twentieth of 100 gaps
        ({"slow_gaps": 6}, False),
        ({"refused": "overload"}, False),
    ],
)
def test_a_turn_keeps_both_objectives_or_none(changes, kept):
    """The time to first token by the length of the prompt, and the p95 of the gaps."""
    assert keeps(turn(**changes), FLEET) is kept


def test_records_add_up():
    """Shares are of answered turns, attainment of all, moves of sessions."""
    measures = Measures(FLEET)
    measures.add(turn(cached_tokens=500))
    measures.add(
        turn(turn=1, site="far", endpoint="far/0", previous="home/0", usd=0.5, egress_bytes=1 << 30)
    )
    measures.add(turn(session="t", refused="overload"))
    summary = measures.summary()
    assert (summary.turns, summary.failed) == (3, 1)
    assert summary.attainment == pytest.approx(2 / 3)
    assert summary.hit_rate == pytest.approx(0.25)
    assert summary.overflowed == pytest.approx(0.5)
    assert summary.share_by_site == {"far": 0.5, "home": 0.5}
    assert summary.moves_per_session == pytest.approx(0.5)
    assert (summary.metered_usd, summary.egress_gib) == (0.5, 1.0)


def test_a_run_over_time_counts_every_turn_once():
    """Bins of equal width, from the first turn to the last."""
    measures = Measures(FLEET)
    for second in range(120):
        measures.add(turn(sent_ns=second * NS_PER_S, refused="overload" if second < 2 else ""))
    found = series(measures)
    assert len(found.turns_per_s) == BINS
    assert sum(found.turns_per_s) * found.width_s == pytest.approx(120)
    assert found.attainment[0] == 0.0
    assert found.attainment[-1] == 1.0
    assert sum(found.turns_per_s_by_site["home"]) * found.width_s == pytest.approx(118)


def test_digests_tell_runs_apart():
    """Equal records, equal digest; one nanosecond, another."""

    def digest(ttft_ns):
        measures = Measures(FLEET)
        measures.add(turn(ttft_ns=ttft_ns))
        return measures.summary().digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)
