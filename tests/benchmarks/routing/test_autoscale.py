"""The comparison of autoscalers, on a few hundred turns of a made-up week."""

import json
from dataclasses import replace

import pytest

from benchmarks.routing.autoscale import run, search
from benchmarks.routing.autoscale.__main__ import main
from benchmarks.routing.autoscale.reactive import Reactive
from benchmarks.routing.autoscale.week import metered_usd, scaled
from benchmarks.routing.setup import Options
from router.policy.units import NS_PER_HOUR, NS_PER_S
from router.sim.autoscaling import Life, Seen

CLOCK = 120.0


def test_what_has_begun_is_billed_by_each_site():
    """East by the hour, west by the minute; home by nothing."""
    second_ns = round(NS_PER_S / CLOCK)
    lives = [Life(f"{site}/0", site, 0, 61 * 60 * second_ns) for site in ("home", "east", "west")]
    found = metered_usd(lives, CLOCK)
    assert found["east"] == pytest.approx(2 * 49.24)
    assert found["west"] == pytest.approx(61 / 60 * 31.92, rel=0.02)
    assert set(found) == {"east", "west"}


def test_the_reactive_one_waits_before_it_follows_and_fills_the_cheap_first(traces):
    """Up after 30 s, down after 600 s of the week; home, and then west before east."""
    week = scaled(Options(traces), 1.0)
    rival = Reactive(week, target=10.0, initial=4)
    noon_ns = 12 * NS_PER_HOUR
    many = [rival(Seen(noon_ns + at * NS_PER_S, {}, 75)) for at in range(0, 60, 10)]
    assert many[2] == {"home": 2, "west": 0, "east": 0}
    assert many[-1] == {"home": 3, "west": 3, "east": 0}
    few = [rival(Seen(noon_ns + at * NS_PER_S, {}, 10)) for at in range(60, 800, 10)]
    assert few[30] == many[-1]
    assert few[-1] == {"home": 1, "west": 0, "east": 0}


@pytest.mark.outside
def test_the_command_says_what_it_saw(traces, tmp_path):
    """A table, the same as JSON, and a picture; 1 where it is not a quarter less."""
    asked = ["--traces", str(traces), "--out", str(tmp_path), "--clock", "1200", "--quick"]
    assert main([*asked, "--targets", "2", "6", "--processes", "1"]) in {0, 1}
    found = json.loads((tmp_path / "autoscale.json").read_text())
    assert {"predicted", "fixed", "reactive 2", "reactive 6"} <= set(found["outcomes"])
    for one in found["outcomes"].values():
        assert one["summary"]["turns"] == found["outcomes"]["predicted"]["summary"]["turns"]
    assert (tmp_path / "autoscale.png").stat().st_size > 1_000
    assert "predicted" in (tmp_path / "autoscale.md").read_text()


def test_the_rival_is_the_cheapest_that_keeps_as_much(traces):
    """And targets between it and the next are tried."""
    base = run.run_one(run.Try(run.FIXED), Options(traces, quick=True), 12_000.0)

    def outcome(one):
        kept = 1.0 - 0.001 * one.target
        usd = {"east": 1_000.0 / one.target}
        return replace(
            base,
            name=one.name,
            kind=one.kind,
            target=one.target,
            usd=usd,
            summary=replace(base.summary, attainment=kept),
        )

    ours = outcome(run.Try(run.REACTIVE, 4.6))
    tried = search.rivals(ours, lambda tries: map(outcome, tries), (2.0, 4.0, 6.0, 8.0))
    assert [one.target for one in tried] == [2.0, 4.0, 4.5, 5.0, 5.5, 6.0, 8.0]
    assert search.equal(ours, tried).target == 5.0
    assert search.equal(ours, [one for one in tried if one.target > 5.2]) is None
