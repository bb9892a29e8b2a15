"""The rules of placement, one by one, on candidates made by hand."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Candidate, Rule
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits, Price
from router.policy.need import Need
from router.policy.placement import choose
from router.policy.request import Request
from router.policy.strain import Strain
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet

_NOW = 1000 * NS_PER_S


def _candidate(name: str, ttft_ms: int, **more) -> Candidate:
    prefill_ms = more.pop("prefill_ms", 10)
    base = Candidate(
        endpoint=name,
        site=name[:-2],
        home=name.startswith("home"),
        ttft_ns=ttft_ms * NS_PER_MS,
        network_ns=NS_PER_MS,
        queue_ns=(ttft_ms - prefill_ms - 1) * NS_PER_MS,
        prefill_ns=prefill_ms * NS_PER_MS,
        itl_ns=NS_PER_MS,
        cached_tokens=0,
        uncached_tokens=100,
        price_usd=0.0 if name.startswith("home") else 0.001,
        meets_objective=ttft_ms <= 1000,
        score_ns=(ttft_ms + prefill_ms) * NS_PER_MS,
        doubt_ns=0,
        report_age_ns=0,
    )
    return base._replace(**more)


def _need(placed: str | None = None, *, price: Price | None = None) -> Need:
    core = RouterCore(fleet(price=price))
    for name in ("home-0", "home-1", "rented-0", "rented-1"):
        core.on_endpoint_up(Endpoint(name, name[:-2], MODEL), 0)
    if placed is not None:
        core._sessions.place("s", placed, _NOW - 100 * NS_PER_S)
    rng = random.Random(1)
    need = core._decider.decide(Request("q", MODEL, session="s"), (), _NOW, rng).need
    assert need is not None
    return need


def _choose(need: Need, *able: Candidate, strain: Strain | None = None) -> tuple[str, Rule]:
    rng = random.Random(1)
    chosen, rule = choose(need, list(able), strain or Strain(0.3), Limits(), _NOW, rng)
    return chosen.endpoint, rule


def test_home_is_chosen_while_it_meets_although_a_rented_site_is_faster():
    """P1."""
    chosen = _choose(_need(), _candidate("home-0", 900), _candidate("rented-0", 20))
    assert chosen == ("home-0", Rule.HOME)


def test_the_faster_home_endpoint_is_chosen():
    """Among endpoints that meet, the one with the least time and work."""
    chosen = _choose(_need(), _candidate("home-0", 900), _candidate("home-1", 100))
    assert chosen == ("home-1", Rule.HOME)


def test_a_session_stays_at_home_where_it_is_nearly_as_good():
    """The placement wins over endpoints that cannot be told apart from it."""
    able = (_candidate("home-0", 100), _candidate("home-1", 99))
    assert _choose(_need("home-0"), *able) == ("home-0", Rule.STICKY)


def test_a_session_leaves_its_replica_for_a_much_better_one_at_home():
    """A queue that costs more than the lost cache does."""
    able = (_candidate("home-0", 900), _candidate("home-1", 200, prefill_ms=100))
    assert _choose(_need("home-0"), *able) == ("home-1", Rule.HOME)


def test_when_home_misses_the_cheapest_that_meets_is_chosen():
    """Not the fastest."""
    able = (
        _candidate("home-0", 1200),
        _candidate("rented-0", 50, price_usd=0.002),
        _candidate("rented-1", 500, price_usd=0.001),
    )
    assert _choose(_need(), *able) == ("rented-1", Rule.OVERFLOW)


def test_with_home_down_a_lone_rented_endpoint_is_overflow():
    """And a lone home endpoint is the only one."""
    assert _choose(_need(), _candidate("rented-0", 50)) == ("rented-0", Rule.OVERFLOW)
    assert _choose(_need(), _candidate("home-0", 50)) == ("home-0", Rule.ONLY)


def test_when_nobody_meets_home_wins_only_if_nearly_as_early():
    """Within a tenth."""
    near = (_candidate("home-0", 2100), _candidate("rented-0", 2000))
    far = (_candidate("home-0", 4000), _candidate("rented-0", 2000))
    assert _choose(_need(), *near) == ("home-0", Rule.LEAST_BAD)
    assert _choose(_need(), *far) == ("rented-0", Rule.LEAST_BAD)


def test_under_pressure_a_new_session_leaves_before_home_is_full():
    """At nine tenths of the objective, where seven may be used; a warm one stays."""
    strain = Strain(0.3)
    need = _need()
    warm = _candidate("home-0", 1200, cached_tokens=1000)
    for _ in range(50):
        strain.observe(need, (warm,), 0.7, _NOW)
    rented = _candidate("rented-0", 50)
    assert _choose(need, _candidate("home-0", 900), rented, strain=strain)[1] is Rule.OVERFLOW
    big = _candidate("home-0", 900, cached_tokens=9000)
    assert _choose(need, big, rented, strain=strain)[1] is Rule.HOME
    assert _choose(need, _candidate("home-0", 900), strain=strain)[1] is Rule.ONLY


@pytest.mark.parametrize(
    ("home_ms", "lost_ms", "back"),
    [(100, 10, True), (690, 10, True), (710, 10, False), (500, 400, True), (600, 550, False)],
)
def test_p3_a_session_returns_when_home_is_well_within_and_the_loss_is_worth_it(
    home_ms, lost_ms, back
):
    """A turn that keeps a metered replica for half a second may cost as much of prefill."""
    price = Price(metered_usd_per_replica_hour=3.6)
    turn = 0.45 * 3.6 / 3600
    able = (
        _candidate("home-0", home_ms, prefill_ms=lost_ms),
        _candidate("rented-0", 50, price_usd=turn),
    )
    chosen = _choose(_need("rented-0", price=price), *able)
    expected = ("home-0", Rule.SPILL_BACK) if back else ("rented-0", Rule.STICKY)
    assert chosen == expected


def test_p3_no_return_before_home_has_been_calm_for_a_while():
    """One strained request, and sessions stay away for the dwell."""
    strain, need = Strain(0.3), _need("rented-0")
    able = (_candidate("home-0", 100), _candidate("rented-0", 50))
    strain.observe(need, (_candidate("home-0", 1200),), 0.7, _NOW - NS_PER_S)
    assert _choose(need, *able, strain=strain) == ("rented-0", Rule.STICKY)
    calm = Strain(0.3)
    calm.observe(need, (_candidate("home-0", 1200),), 0.7, _NOW - 5 * NS_PER_S)
    assert _choose(need, *able, strain=calm) == ("home-0", Rule.SPILL_BACK)


def test_a_session_whose_rented_endpoint_misses_goes_home_at_once():
    """No dwell is asked of a session that would miss where it is."""
    able = (_candidate("home-0", 100), _candidate("rented-0", 3000))
    assert _choose(_need("rented-0"), *able) == ("home-0", Rule.HOME)


def test_chance_decides_among_those_that_cannot_be_told_apart():
    """Two with the same prospects, and one whose old report leaves it as likely the best."""
    able = [
        _candidate("home-0", 100),
        _candidate("home-1", 101),
        _candidate("home-2", 180, doubt_ns=100 * NS_PER_MS),
        _candidate("home-3", 180),
    ]
    need, rng = _need(), random.Random(1)
    need.request = replace(need.request, session="")
    chosen = {choose(need, able, Strain(0.3), Limits(), _NOW, rng)[0].endpoint for _ in range(200)}
    assert chosen == {"home-0", "home-1", "home-2"}


def test_a_session_goes_where_every_router_would_send_it():
    """Among those that cannot be told apart, which a router that sees others apart agrees with."""
    able = [_candidate(f"home-{number}", 100 + number % 2) for number in range(4)]
    taken = Counter()
    for number in range(400):
        need = _need()
        need.request = replace(need.request, session=f"s{number}")
        routers = [
            choose(need, seen, Strain(0.3), Limits(), _NOW, random.Random(seed))[0].endpoint
            for seed, seen in enumerate((able, able[::-1], able[1:]))
        ]
        assert routers[0] == routers[1]
        assert routers[2] in {routers[0], *(one.endpoint for one in able[1:])}
        assert routers[0] == "home-0" or routers[2] == routers[0]
        taken[routers[0]] += 1
    assert min(taken.values()) > 70


def test_a_session_with_much_cached_stays_for_a_miss_that_is_only_possible():
    """Home is not sure to be in time but expected to; 300 ms of prefill would be lost."""
    home = _candidate("home-0", 1200, expected_ns=900 * NS_PER_MS)
    rented = _candidate("rented-0", 400, prefill_ms=310)
    assert _choose(_need("home-0"), home, rented) == ("home-0", Rule.STICKY)
    assert _choose(_need(), home, rented) == ("rented-0", Rule.OVERFLOW)
    late = home._replace(expected_ns=1100 * NS_PER_MS)
    assert _choose(_need("home-0"), late, rented) == ("rented-0", Rule.OVERFLOW)


def test_where_nobody_is_sure_streams_are_not_slowed_beyond_their_objective():
    """An endpoint whose gaps are at their limit is taken only if no other is in time."""
    full = _candidate("home-0", 1100, expected_ns=500 * NS_PER_MS, flows=False)
    slower = _candidate("rented-0", 1300, expected_ns=900 * NS_PER_MS)
    assert _choose(_need(), full, slower) == ("rented-0", Rule.LEAST_BAD)
    late = slower._replace(expected_ns=1200 * NS_PER_MS)
    assert _choose(_need(), full, late) == ("home-0", Rule.LEAST_BAD)


def test_paid_capacity_that_idles_is_taken_before_home_is_used_up():
    """Committed replicas are sunk cost like home: a quarter of the objective sooner is enough."""
    home = _candidate("home-0", 600)
    assert _choose(_need(), home, _candidate("rented-0", 100, sunk=True)) == (
        "rented-0",
        Rule.OVERFLOW,
    )
    assert _choose(_need(), home, _candidate("rented-0", 100)) == ("home-0", Rule.HOME)
    near = _candidate("rented-0", 400, sunk=True)
    assert _choose(_need(), home, near) == ("home-0", Rule.HOME)
