"""Adapters over a day of a toy fleet: each settles where it is used, the hot one at several."""

from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass, field, replace

import pytest

from router.policy.adapters import AdapterLoad
from router.policy.endpoint import Endpoint
from router.policy.identity import EngineIdentity
from router.policy.outcome import End
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy import toy
from tests.router.policy.toy import MODEL, World, fleet

LOAD_NS = 300 * NS_PER_MS
PLACES = 3
NAMES = [f"a{number}" for number in range(8)]
SPAN_NS = 60 * NS_PER_S


@dataclass
class Shelved(toy.Replica):
    """A replica that has to load adapters, keeps a few, and says so."""

    shelf: OrderedDict = field(default_factory=OrderedDict)
    loading: dict = field(default_factory=lambda: defaultdict(list))
    loads: int = 0

    def submit(self, job):
        name = job.request.adapter
        if name in self.shelf:
            self.shelf.move_to_end(name)
            super().submit(job)
            return
        self.loading[name].append(job)
        if len(self.loading[name]) == 1:
            self.loads += 1
            self.world.after(LOAD_NS, lambda: self._loaded(name))

    def report(self):
        said = AdapterLoad(tuple(self.shelf), PLACES, load_ns=LOAD_NS if self.loads else 0)
        return replace(super().report(), adapters=said)

    def _loaded(self, name):
        self.shelf[name] = None
        while len(self.shelf) > PLACES:
            self.shelf.popitem(last=False)
        for job in self.loading.pop(name):
            super().submit(job)


@pytest.fixture
def world(monkeypatch):
    """Four replicas at home, each with all adapters and places for three."""
    monkeypatch.setattr(toy, "Replica", Shelved)
    world = World(fleet())
    identity = EngineIdentity("w", "t", "n", adapters=tuple((name, "d") for name in NAMES))
    for number in range(4):
        world.add(f"home-{number}", "home", slots=8)
        endpoint = Endpoint(f"home-{number}", "home", MODEL, identity=identity)
        world.core.on_endpoint_up(endpoint, world.now)
    return world


def ask(world, name, per_s):
    """Turns without a session that name an adapter, at random moments."""
    at = 0.0
    while (at := at + world.workload.expovariate(per_s) * NS_PER_S) < SPAN_NS:
        number = int(at)
        session = f"{name}.{number}"
        world.after(number, lambda asked=session: world.turn(asked, adapter=name, output=20))


def test_a_hot_adapter_is_spread_and_the_others_settle(world):
    """Loads are few beside turns; without a preference nearly every other turn would load."""
    for name in NAMES[1:]:
        ask(world, name, 1.0)
    ask(world, "a0", 40.0)
    world.run(SPAN_NS + 20 * NS_PER_S)
    assert {turn.end for turn in world.turns} == {End.OK}
    where = defaultdict(Counter)
    for turn in world.turns:
        where[turn.session.partition(".")[0]][turn.endpoint] += 1
    assert len([count for count in where["a0"].values() if count > 100]) >= 2
    loads = sum(one.loads for one in world.replicas.values())
    assert loads < 0.1 * len(world.turns)
    for name in NAMES[1:]:
        [(_, most)] = where[name].most_common(1)
        assert most > 0.5 * where[name].total(), where[name]


def test_what_is_used_no_more_makes_way(world):
    """The least recently used goes first, and comes back when it is asked for."""
    for name in NAMES:
        world.turn(name, adapter=name)
        world.run(5 * NS_PER_S)
    held = [name for one in world.replicas.values() for name in one.shelf]
    assert sorted(held) == NAMES  # each once: there was always a place
    for one in world.replicas.values():
        one.shelf.clear()
    world.run(5 * NS_PER_S)
    world.turn("again", adapter="a0")
    world.run(5 * NS_PER_S)
    assert [turn.end for turn in world.turns] == [End.OK] * (len(NAMES) + 1)
