"""Ratios over SkyLB's baselines, ours and its own, beside those that it publishes."""

import pytest

from benchmarks.routing.compare import Result
from benchmarks.routing.margins import margins, rows, section
from benchmarks.routing.measures import Latency, Summary
from benchmarks.routing.series import Series
from router.sim.rivals.registry import OURS


def result(policy, kept, ttft_s, usd=0.0):
    latency = Latency(ttft_s, 2 * ttft_s, 3 * ttft_s)
    summary = Summary(100, 0, kept, latency, latency, 0.0, usd, 0.0, 0.0, 0.0, {}, "")
    return Result("prefix", policy, summary, Series(1.0, [], [], [], {}), 1.0)


BASELINES = [result("round-robin", 0.4, 8.0, 20.0), result("smg", 0.8, 2.0, 15.0)]


def test_each_measure_is_better_by_so_many_times():
    """More is kept, first tokens come sooner and cost less: all are above 1."""
    found = margins("prefix", [*BASELINES, result("skylb", 0.8, 2.0, 15.0), result(OURS, 1, 1, 10)])
    ours = {one.measure: (one.ours.least, one.ours.most) for one in found}
    assert ours == {
        "turns kept": pytest.approx((1.25, 2.5)),
        "TTFT p50": pytest.approx((2.0, 8.0)),
        "TTFT p95": pytest.approx((2.0, 8.0)),
        "cost": pytest.approx((1.5, 2.0)),
    }
    assert next(str(one.skylb) for one in found) == "1.00 to 2.00"
    assert [row[-1] for row in rows(found)] == ["yes"] * 4


def test_both_ends_must_exceed_the_published_ones():
    """To be far above one baseline does not make up for another."""
    found = margins("prefix", [*BASELINES, result(OURS, 0.82, 1.9)])
    assert [row[-1] for row in rows(found)] == ["no"] * 3
    assert {one.skylb for one in found} == {None}


def test_only_conversations_over_several_sites_are_compared():
    """And nothing without ours or without a baseline."""
    ours = result(OURS, 1.0, 1.0)
    assert margins("burst", [*BASELINES, ours]) == []
    assert margins("prefix", BASELINES) == []
    assert margins("prefix", [ours, result("gorgo", 1.0, 1.0)]) == []


def test_the_section_says_what_the_ratios_are():
    """A heading, a sentence and the table."""
    text = section(margins("prefix", [*BASELINES, result(OURS, 1.0, 1.0, 10.0)]))
    assert text.startswith("## Against SkyLB's own baselines\n\n")
    assert "| prefix | turns kept | 1.12 to 2.06 |" in text
