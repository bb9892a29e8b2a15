"""The properties that routing must have, P1 to P8, on a toy fleet driven through the core."""

import functools
import itertools
from collections import Counter

from router.policy.core import RouterCore
from router.policy.decision import Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, Turn, World, fleet

_CHAT = {"turns": 3, "think_ns": 2 * NS_PER_S, "prompt": 200, "output": 50}


def _share_rented(turns: list[Turn]) -> float:
    return sum(turn.site == "rented" for turn in turns) / len(turns)


def _in_time(turns: list[Turn]) -> float:
    seen = [turn for turn in turns if turn.ttft_ns is not None]
    return sum(turn.ttft_ns <= turn.objective_ns for turn in seen) / len(seen)


def _two_sites(seed: int, **kind: int) -> World:
    world = World(fleet(), seed)
    world.add("home-0", "home", **kind)
    world.add("rented-0", "rented", rtt_ns=3 * NS_PER_MS, **kind)
    return world


def _phase(world: World, name: str, per_s: float, seconds: int) -> list[Turn]:
    before = len(world.turns)
    world.arrivals(name, per_s, seconds * NS_PER_S, **_CHAT)
    world.run(seconds * NS_PER_S)
    return world.turns[before:]


def test_p1_calm_load_stays_home_altogether():
    """While home meets the objective, nothing is sent to the rented site."""
    turns = _phase(_two_sites(1), "calm", 1.0, 60)
    assert len(turns) > 100
    assert _share_rented(turns) == 0.0


def test_p1_p3_a_surge_overflows_and_calm_brings_it_back():
    """Home alone could serve two thirds of the surge; the rest overflows, and then returns."""
    world = _two_sites(2)
    calm = _phase(world, "calm", 1.0, 30)
    surge = _phase(world, "surge", 2.7, 40)
    _phase(world, "settling", 0.8, 20)
    after = _phase(world, "after", 0.8, 20)
    assert _share_rented(calm) == 0.0
    assert 0.2 < _share_rented(surge) < 0.6
    assert _in_time(surge) > 0.9
    assert _share_rented(after) < 0.05


def test_p1_holds_without_load_reports():
    """With no report ever, calm stays home, a surge still overflows, and most are in time."""
    world = _two_sites(3)
    for replica in world.replicas.values():
        replica.reports = False
    assert _share_rented(_phase(world, "calm", 1.0, 30)) < 0.05
    surge = _phase(world, "surge", 2.7, 40)
    assert 0.15 < _share_rented(surge) < 0.7
    assert _in_time(surge) > 0.85


def _leavers(seed: int) -> tuple[Counter[str], Counter[str]]:
    """Turns at home by kind of session until each is first moved, and the moves among them."""
    world = World(fleet(ttft_ms=800), seed)
    world.add("home-0", "home", slots=6)
    world.add("rented-0", "rented", slots=12, rtt_ns=3 * NS_PER_MS)
    for number in range(20):
        kind, prompt = ("small", 100) if number % 2 else ("large", 2000)
        chat = functools.partial(world.chat, f"{kind}{number}", 60, 2 * NS_PER_S, prompt, 10, 10)
        world.after(number * 150 * NS_PER_MS, chat)
    world.run(15 * NS_PER_S)
    at_home = {turn.session for turn in world.turns if turn.site == "home"}
    before = len(world.turns)
    world.arrivals("new", 9.0, 20 * NS_PER_S, turns=1, think_ns=1, prompt=100, output=40)
    world.run(20 * NS_PER_S)
    seen, moved = Counter[str](), Counter[str]()
    gone: set[str] = set()
    for turn in world.turns[before:]:
        kind = turn.session.rstrip("0123456789")
        if turn.session not in gone and (kind == "new" or turn.session in at_home):
            seen[kind] += 1
            moved[kind] += turn.site == "rented"
            gone.update({turn.session} if turn.site == "rented" else ())
    return seen, moved


def test_p2_new_sessions_leave_before_warm_ones_and_small_caches_before_large():
    """Under pressure the share that overflows falls with what is cached at home."""
    seen, moved = Counter[str](), Counter[str]()
    for seed in range(8):
        one_seen, one_moved = _leavers(seed)
        seen += one_seen
        moved += one_moved
    share = {kind: moved[kind] / seen[kind] for kind in seen}
    assert share["new"] > 0.1
    assert share["small"] < 0.8 * share["new"]
    assert share["large"] < 0.7 * share["small"]


def test_p3_load_at_the_threshold_does_not_make_sessions_flap():
    """At a steady load around what home can serve, a session hardly ever moves more than twice."""
    world = _two_sites(4)
    world.arrivals("steady", 1.0, 90 * NS_PER_S, turns=6, think_ns=NS_PER_S, prompt=200, output=50)
    world.run(100 * NS_PER_S)
    sites: dict[str, list[str]] = {}
    for turn in world.turns:
        sites.setdefault(turn.session, []).append(turn.site)
    moves = [sum(a != b for a, b in itertools.pairwise(s)) for s in sites.values()]
    assert 0.02 < _share_rented(world.turns) < 0.7
    assert sum(moves) / len(world.turns) < 0.1
    assert max(moves) <= 3


def test_p3_a_dear_cache_is_not_given_up_for_a_cheap_return():
    """With a committed rented site at hand, a session with a large cache there stays there."""
    core = RouterCore(fleet())
    world = World(core.fleet)
    world.add("home-0", "home")
    world.add("rented-0", "rented")
    world.core.on_drain("home", True, world.now)
    world.turn("dear", 0, prompt=4000, output=5)
    world.run(2 * NS_PER_S)
    world.core.on_drain("home", False, world.now)
    world.run(10 * NS_PER_S)
    kept = world.turn("dear", 1, prompt=4100, output=5)
    assert isinstance(kept, Turn)
    assert (kept.site, kept.rule) == ("rented", Rule.STICKY)


def _reported(core: RouterCore, name: str, number: int, waiting: int, now: int) -> None:
    report = LoadReport(
        name,
        "1",
        number,
        running=4,
        waiting=waiting,
        queued_prefill_tokens=200 * waiting,
        running_max=4,
    )
    core.on_load(report, now)


def test_p4_own_dispatches_since_the_report_count_at_once(rng):
    """Each request sent after a report makes the next prediction later, with no new report."""
    core = RouterCore(fleet(ttft_ms=60_000))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    _reported(core, "home-0", 1, 0, NS_PER_S)
    promised = []
    for number in range(10):
        decision = core.on_request(Request(str(number), MODEL, prompt_tokens=500), NS_PER_S, rng)
        assert isinstance(decision, Send)
        promised.append(decision.chosen.ttft_ns)
    assert promised == sorted(promised)
    assert promised[-1] > 2 * promised[0]


def test_p4_a_silent_site_fades_to_its_mean_and_is_not_declared_full(rng):
    """An old report weighs less with age: a burst it showed is neither kept for ever nor grown."""
    core = RouterCore(fleet(ttft_ms=60_000))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    for number in range(100):
        _reported(core, "home-0", number, 0, number * 100 * NS_PER_MS)
    heard = 10 * NS_PER_S
    _reported(core, "home-0", 100, 20, heard)

    def promised(age_ns: int) -> int:
        decision = core.explain(Request("q", MODEL, prompt_tokens=500), heard + age_ns, rng)
        assert isinstance(decision, Send)
        return decision.chosen.ttft_ns

    fresh, later, stale = promised(0), promised(5 * NS_PER_S), promised(15 * NS_PER_S)
    assert fresh > 2 * later
    assert fresh > 2 * stale
    assert promised(3600 * NS_PER_S) == stale


def test_p5_sixteen_routers_with_one_late_view_do_not_herd(rng):
    """Shown the same two-second-old reports, they spread over what may by now be the best."""
    routers = [RouterCore(fleet(ttft_ms=60_000)) for _ in range(16)]
    names = [f"home-{i}" for i in range(8)]
    for core in routers:
        for name in names:
            core.on_endpoint_up(Endpoint(name, "home", MODEL), 0)
    load = rng.choices(range(20), k=8)
    for number in range(20):
        load = [max(0, each + rng.choice((-6, -3, 3, 6))) for each in load]
        load[3] = 0 if number == 19 else load[3]  # the one that looks idle at last
        for core in routers:
            for name, waiting in zip(names, load, strict=True):
                _reported(core, name, number, waiting, number * NS_PER_S)
    now = 21 * NS_PER_S
    chosen = Counter()
    for index, core in enumerate(routers):
        decision = core.on_request(Request(str(index), MODEL, prompt_tokens=200), now, rng)
        assert isinstance(decision, Send)
        chosen[decision.endpoint] += 1
    assert max(chosen.values()) <= 8
    assert len(chosen) >= 3


def test_p5_eight_routers_in_front_of_one_fleet_serve_as_well_as_one():
    """With reports a second apart they share four replicas without overrunning any."""
    in_time = {}
    for routers in (1, 8):
        world = World(fleet(ttft_ms=1500), 11, routers)
        for number in range(4):
            world.add(f"home-{number}", "home", report_every_ns=NS_PER_S, slots=8)
        world.arrivals("load", 9.0, 40 * NS_PER_S, **_CHAT)
        world.run(40 * NS_PER_S)
        in_time[routers] = _in_time(world.turns)
    assert in_time[1] > 0.95
    assert in_time[8] > 0.9


def test_p6_a_prefix_that_everybody_shares_does_not_glue_the_load_to_one_replica(rng):
    """One system prompt in every request: replicas share the load although one had it first."""
    core = RouterCore(fleet())
    for i in range(4):
        core.on_endpoint_up(Endpoint(f"home-{i}", "home", MODEL), 0)
    system = tuple(range(100))
    chosen = Counter()
    for number in range(400):
        prefix = (*system, 10_000 + number)
        request = Request(str(number), MODEL, prompt_tokens=1700, prefix=prefix)
        now = number * NS_PER_S
        decision = core.on_request(request, now, rng)
        chosen[decision.endpoint] += number >= 100
        core.on_outcome(_ended(request, decision), now + NS_PER_MS, rng)
    assert max(chosen.values()) < 150


def test_p6_prefixes_that_few_share_keep_their_replica(rng):
    """A context that one in fifty requests shares is served where it is cached."""
    core = RouterCore(fleet())
    for i in range(4):
        core.on_endpoint_up(Endpoint(f"home-{i}", "home", MODEL), 0)
    where: dict[int, set[str]] = {}
    for number in range(500):
        customer = number % 50
        prefix = tuple(range(1000 * customer, 1000 * customer + 100))
        request = Request(str(number), MODEL, prompt_tokens=1700, prefix=prefix)
        decision = core.on_request(request, number * NS_PER_S, rng)
        where.setdefault(customer, set()).add(decision.endpoint)
        core.on_outcome(_ended(request, decision), number * NS_PER_S + NS_PER_MS, rng)
    assert all(len(replicas) == 1 for replicas in where.values())


def _ended(request: Request, decision: Send) -> Ended:
    return Ended(request.id, decision.endpoint, End.OK, output_tokens=10, duration_ns=NS_PER_MS)


def test_p8_a_dead_replica_is_avoided_at_once_when_its_connection_tells():
    """After the connection is lost only what was in flight fails, and it is served elsewhere."""
    world = _two_sites(5)
    world.add("home-1", "home")
    world.arrivals("load", 1.5, 20 * NS_PER_S, **_CHAT)
    world.run(10 * NS_PER_S)
    world.replicas["home-1"].kill()
    world.core.on_connection("home-1", False, world.now)
    killed_ns = world.now
    world.run(15 * NS_PER_S)
    later = [turn for turn in world.turns if turn.sent_ns > killed_ns]
    assert later
    assert all(turn.attempts == 1 and turn.endpoint != "home-1" for turn in later)
    assert all(t.end in {End.OK, None} for t in world.turns if t.attempts > 1)


def test_p8_a_dead_replica_that_still_connects_costs_three_requests_and_is_probed_gently():
    """The breaker opens at the third failure; probes come one at a time, ever more rarely."""
    world = World(fleet(limits=Limits(breaker_failures=3)), 6)
    world.add("home-0", "home", step_ns=60 * NS_PER_MS)
    world.add("home-1", "home")  # the better one, while it lives
    world.run(NS_PER_S)
    world.replicas["home-1"].alive = False
    for number in range(600):
        world.after(number * 100 * NS_PER_MS, lambda n=number: world.turn(f"s{n}", output=2))
    world.run(61 * NS_PER_S)
    failed = [turn for turn in world.turns if turn.attempts > 1]
    assert all(turn.end is End.OK and turn.endpoint == "home-0" for turn in failed)
    first_minute_of_probes = 7  # after 1, 3, 7, 15, 31 and 61 s
    assert 3 <= len(failed) <= 3 + first_minute_of_probes


def test_p8_a_replica_that_comes_back_is_used_again():
    """Once it is connected again, a probe succeeds and the load returns."""
    world = World(fleet(), 7)
    world.add("home-0", "home")
    world.add("rented-0", "rented")
    world.core.on_connection("home-0", False, world.now)
    away = world.turn("a", output=2)
    world.run(NS_PER_S)
    world.core.on_connection("home-0", True, world.now)
    back = world.turn("b", output=2)
    world.run(NS_PER_S)
    assert isinstance(away, Turn)
    assert isinstance(back, Turn)
    assert (away.site, back.site) == ("rented", "home")
    assert back.end is End.OK


def test_p8_a_replica_that_hangs_loses_its_requests_to_the_others():
    """First tokens that do not come make every further one at that replica later."""
    world = World(fleet(), 8)
    world.add("home-0", "home")
    world.add("rented-0", "rented")
    for number in range(10):
        world.after(number * 100 * NS_PER_MS, lambda n=number: world.turn(f"w{n}", output=2))
    world.run(2 * NS_PER_S)
    world.replicas["home-0"].stalled = True
    stalled_ns = world.now
    for number in range(100):
        world.after(number * 100 * NS_PER_MS, lambda n=number: world.turn(f"s{n}", output=2))
    world.run(12 * NS_PER_S)
    later = [turn for turn in world.turns if turn.sent_ns > stalled_ns + 2 * NS_PER_S]
    assert _share_rented(later) > 0.95
