"""What a core learns of the streams that an engine may run, while the engine fills and empties."""

import random
from collections import deque
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S

OBJECTIVE_NS = 100 * NS_PER_MS


@dataclass
class _Stream:
    name: str
    left: int  # ticks
    began_ns: int
    ticks: int = 0
    slow: int = 0


class _Engine:
    """One endpoint, where more streams make longer gaps, and more than `edge` too long ones."""

    def __init__(self, edge: int, life: int, seed: int) -> None:
        slo = SloClass("chat", 60 * NS_PER_S, OBJECTIVE_NS)
        self.core = RouterCore(Fleet((Site("home", SiteKind.HOME),), (slo,), "chat"))
        self.core.on_endpoint_up(Endpoint("e", "home", "m"), 0)
        self.rng = random.Random(seed)
        self.edge, self.life = edge, life
        self.now, self.number = NS_PER_S, 0
        self.running: deque[_Stream] = deque()
        self.begun = self.missed = 0

    @property
    def learned(self) -> float:
        return self.core._registry.by_name["e"].gap_limits[OBJECTIVE_NS].streams

    def offer(self, count: int) -> None:
        """So many requests; those that find no room go away."""
        for _ in range(count):
            self.number += 1
            request = Request(f"r{self.number}", "m", prompt_tokens=1, max_new_tokens=self.life)
            decision = self.core.on_request(request, self.now, self.rng)
            if isinstance(decision, Send):
                self.core.on_outcome(FirstToken(request.id, "e", NS_PER_MS), self.now, self.rng)
                left = self.rng.randint(self.life // 2, 2 * self.life)
                self.running.append(_Stream(request.id, left, self.now))
                self.begun += 1
            else:
                self.core.on_withdrawn(request.id, self.now)

    def step(self) -> None:
        """All streams get a token; some end with it."""
        self.now += (20 + len(self.running)) * NS_PER_MS
        slow = len(self.running) > self.edge
        for _ in range(len(self.running)):
            one = self.running.popleft()
            one.ticks += 1
            one.slow += slow
            if one.ticks < one.left:
                self.running.append(one)
                continue
            self.missed += one.slow > 0.05 * one.ticks
            took_ns = self.now - one.began_ns
            ended = Ended(
                one.name, "e", End.OK, one.ticks + 1, one.ticks + 1, took_ns, slow_gaps=one.slow
            )
            self.core.on_outcome(ended, self.now, self.rng)


@settings(max_examples=25, deadline=None)
@given(
    edge=st.integers(20, 45),
    life=st.integers(20, 60),
    rush=st.integers(1, 8),
    seed=st.integers(0, 1_000),
)
def test_an_engine_that_fills_at_once_teaches_no_edge_far_below_its_own(edge, life, rush, seed):
    """Streams that began beside few, and missed beside many, speak of the many."""
    engine = _Engine(edge, life, seed)
    for _ in range(8 * life):
        engine.offer(rush)
        engine.step()
    assert engine.begun
    assert engine.learned > 0.8 * edge
    assert len(engine.running) <= 1.1 * edge
