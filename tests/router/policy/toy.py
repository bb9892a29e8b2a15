"""A toy fleet in virtual time, to drive the core end to end: a few replicas, links and sessions.

A replica runs an engine step at a time: up to `slots` requests at once, first come first served,
a budget of prompt tokens for each step, one token for each decoding request. Nothing here is
calibrated; it only has the shape that routing must cope with.
"""

import functools
import heapq
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from router.policy.core import RouterCore
from router.policy.decision import Decision, Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S

MODEL = "toy"


@dataclass
class Job:
    """A request at a replica."""

    request: Request
    session: str
    uncached: int
    output_tokens: int
    on_first: Callable[[], None]
    on_end: Callable[[], None]
    left: int = 0
    started: bool = False


@dataclass
class Turn:
    """What one turn of a session saw, from the client's side."""

    sent_ns: int
    session: str
    number: int
    site: str
    endpoint: str
    rule: Rule
    attempts: int
    objective_ns: int
    promised_ns: int
    ttft_ns: int | None
    end: End | None = None
    cached_tokens: int = 0
    uncached_tokens: int = 0
    refused: Refuse | None = None


@dataclass
class Replica:
    """One engine."""

    world: "World"
    name: str
    site: str
    slots: int = 4
    step_ns: int = 10 * NS_PER_MS
    stream_ns: int = 1 * NS_PER_MS
    token_ns: int = 100_000
    step_tokens: int = 512
    rtt_ns: int = 1 * NS_PER_MS
    alive: bool = True
    stalled: bool = False
    reports: bool = True
    waiting: list[Job] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    cache: dict[str, int] = field(default_factory=dict)
    stepping: bool = False
    sequence: int = 0
    served: int = 0

    def submit(self, job: Job) -> None:
        """Take a request in."""
        job.left = job.uncached
        self.waiting.append(job)
        self._wake()

    def report(self) -> LoadReport:
        """What the replica says of itself."""
        self.sequence += 1
        return LoadReport(
            endpoint=self.name,
            instance="1",
            sequence=self.sequence,
            running=len(self.running),
            waiting=len(self.waiting),
            queued_prefill_tokens=sum(job.left for job in [*self.waiting, *self.running]),
            running_max=self.slots,
        )

    def kill(self) -> None:
        """Die: every request is lost and none is accepted."""
        self.alive = False
        lost, self.waiting, self.running = [*self.waiting, *self.running], [], []
        self.cache.clear()
        for job in lost:
            self.world.lose(self, job)

    def wake(self) -> None:
        """Go on after a stall."""
        self.stalled = False
        self._wake()

    def _wake(self) -> None:
        if not self.stepping and (self.waiting or self.running):
            self.stepping = True
            self._step()

    def _step(self) -> None:
        while self.waiting and len(self.running) < self.slots:
            self.running.append(self.waiting.pop(0))
        budget = self.step_tokens
        decoding, prefilled = 0, 0
        for job in self.running:
            if job.left:
                chunk = min(budget, job.left)
                job.left -= chunk
                budget -= chunk
                prefilled += chunk
            else:
                decoding += 1
        span = self.step_ns + decoding * self.stream_ns + prefilled * self.token_ns
        self.world.after(span, self._finish_step)

    def _finish_step(self) -> None:
        if not self.alive or self.stalled:
            self.stepping = False
            return
        for job in list(self.running):
            if job.left:
                continue
            job.output_tokens -= 1
            if not job.started:
                job.started = True
                self.world.after(self.rtt_ns // 2, job.on_first)
            if job.output_tokens <= 0:
                self.running.remove(job)
                self.served += 1
                self.world.after(self.rtt_ns // 2, job.on_end)
        self.stepping = False
        self._wake()


@dataclass
class _Open:
    """A turn that is not over."""

    core: RouterCore
    request: Request
    seen: Turn
    output: int
    then: Callable[[], None] | None
    refused: Callable[[Refuse], None] | None


class World:
    """Virtual time, the replicas, the routers in front of them and what their clients saw."""

    def __init__(self, fleet: Fleet, seed: int = 1, routers: int = 1) -> None:
        self.now = NS_PER_S
        self.fleet = fleet
        self.cores = [RouterCore(fleet) for _ in range(routers)]
        self.rng = random.Random(seed)
        self.workload = random.Random(seed + 1)
        self.replicas: dict[str, Replica] = {}
        self.turns: list[Turn] = []
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._requests = 0
        self._watched: list[RouterCore] = []
        self._open: dict[str, _Open] = {}

    @property
    def core(self) -> RouterCore:
        """The router, where there is one; the first of several."""
        return self.cores[0]

    def after(self, span_ns: int, action: Callable[[], None]) -> None:
        """Do something in a while."""
        self._order += 1
        heapq.heappush(self._heap, (self.now + span_ns, self._order, action))

    def run(self, span_ns: int) -> None:
        """Let time pass."""
        until = self.now + span_ns
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = until

    def add(self, name: str, site: str, report_every_ns: int = 100 * NS_PER_MS, **kind) -> Replica:
        """Start a replica."""
        replica = Replica(self, name, site, **kind)
        self.replicas[name] = replica
        for core in self.cores:
            core.on_endpoint_up(Endpoint(name, site, MODEL), self.now)
            core.on_connection(name, True, self.now)
            core.on_rtt(name, replica.rtt_ns, self.now)

        def heard(report: LoadReport) -> None:
            for core in self.cores:
                core.on_load(report, self.now)
                self._release(core)

        def report() -> None:
            if replica.alive and replica.reports and not replica.stalled:
                self.after(replica.rtt_ns // 2, functools.partial(heard, replica.report()))
            self.after(report_every_ns, report)

        report()
        return replica

    def lose(self, replica: Replica, job: Job) -> None:
        """A request was lost with its replica."""
        self.after(replica.rtt_ns // 2, lambda: self._end(job.request, End.UNREACHABLE))

    def turn(
        self,
        session: str,
        number: int = 0,
        prompt: int = 200,
        output: int = 50,
        then: Callable[[], None] | None = None,
        refused: Callable[[Refuse], None] | None = None,
        **request,
    ) -> Turn | Refuse:
        """Send one turn of a session now. It may wait in the router, and be refused there."""
        self._requests += 1
        asked = Request(
            f"{session}.{number}.{self._requests}",
            MODEL,
            session=session,
            prompt_tokens=prompt,
            max_new_tokens=2 * output,
            **request,
        )
        core = self.cores[zlib.crc32(session.encode()) % len(self.cores)]
        decision = core.on_request(asked, self.now, self.rng)
        if isinstance(decision, Refuse):
            self._release(core)
            return decision
        seen = Turn(self.now, session, number, "", "", decision.rule, 0, 0, 0, None)
        self.turns.append(seen)
        self._open[asked.id] = _Open(core, asked, seen, output, then, refused)
        if isinstance(decision, Send):
            self._deliver(asked, decision)
        self._release(core)
        return seen

    def _release(self, core: RouterCore) -> None:
        """Perform what the core says of those who wait."""
        for decision in core.release(self.now, self.rng):
            self._perform(self._open[decision.request], decision)
        if core.release_ns is not None and core not in self._watched:
            self._watched.append(core)
            self.after(max(1, core.release_ns - self.now), lambda: self._look(core))

    def _look(self, core: RouterCore) -> None:
        self._watched.remove(core)
        self._release(core)

    def _perform(self, turn: _Open, decision: Decision | None) -> None:
        if isinstance(decision, Send):
            self._deliver(turn.request, decision)
            return
        del self._open[turn.request.id]
        if isinstance(decision, Refuse) and turn.seen.end is None:
            turn.seen.refused = decision
            if turn.refused is not None:
                turn.refused(decision)
        elif turn.then is not None:
            turn.then()

    def _deliver(self, request: Request, decision: Send) -> None:
        turn = self._open[request.id]
        core, seen, output = turn.core, turn.seen, turn.output
        seen.site, seen.endpoint, seen.rule = decision.site, decision.endpoint, decision.rule
        seen.attempts = decision.attempt
        if decision.attempt == 1:
            waited_ns = self.now - seen.sent_ns
            seen.objective_ns = decision.objective_ns + waited_ns
            seen.promised_ns = decision.chosen.ttft_ns + waited_ns
        replica = self.replicas[decision.endpoint]
        sent_ns = self.now

        def first() -> None:
            ttft_ns = self.now - sent_ns
            seen.ttft_ns = self.now - seen.sent_ns
            core.on_outcome(FirstToken(request.id, replica.name, ttft_ns), self.now, self.rng)
            self._release(core)

        def arrive() -> None:
            if not replica.alive:
                self.after(replica.rtt_ns // 2, lambda: self._end(request, End.UNREACHABLE))
                return
            cached = min(replica.cache.get(request.session, 0), request.prompt_tokens - 1)
            seen.cached_tokens = cached
            seen.uncached_tokens = request.prompt_tokens - cached
            replica.cache[request.session] = request.prompt_tokens + output
            job = Job(
                request,
                request.session,
                request.prompt_tokens - cached,
                output,
                first,
                lambda: self._end(request, End.OK),
            )
            replica.submit(job)

        self.after(replica.rtt_ns // 2, arrive)

    def _end(self, request: Request, end: End) -> None:
        turn = self._open[request.id]
        core, seen = turn.core, turn.seen
        seen.end = end
        started = seen.ttft_ns is not None
        ended = Ended(
            request.id,
            seen.endpoint,
            end,
            output_tokens=turn.output if end is End.OK else 0,
            messages=1 if started else 0,
            duration_ns=self.now - seen.sent_ns,
        )
        self._perform(turn, core.on_outcome(ended, self.now, self.rng))
        self._release(core)

    def chat(
        self, session: str, turns: int, think_ns: int, prompt: int, output: int, grow: int = 50
    ) -> None:
        """A session of several turns; each prompt adds `grow` tokens to what was said so far."""

        def say(number: int) -> None:
            if number == turns:
                return
            length = prompt + number * (grow + output)
            pause = int(think_ns * self.workload.expovariate(1.0))

            def again(refused: Refuse) -> None:
                self.after(refused.retry_after_ns, lambda: say(number))

            answer = self.turn(
                session,
                number,
                length,
                output,
                then=lambda: self.after(pause, lambda: say(number + 1)),
                refused=again,
            )
            if isinstance(answer, Refuse):
                again(answer)

        say(0)

    def arrivals(self, name: str, per_s: float, span_ns: int, **chat) -> None:
        """New sessions at random moments."""
        at = 0.0
        number = 0
        while True:
            at += self.workload.expovariate(per_s) * NS_PER_S
            if at >= span_ns:
                return
            session = f"{name}{number}"
            self.after(int(at), lambda session=session: self.chat(session, **chat))
            number += 1


def fleet(
    *,
    ttft_ms: int = 1000,
    itl_ms: int = 200,
    limits: Limits | None = None,
    price: Price | None = None,
) -> Fleet:
    """Home and one rented site, with one class."""
    price = price or Price(metered_usd_per_replica_hour=3.6)
    return Fleet(
        sites=(Site("home", SiteKind.HOME), Site("rented", SiteKind.RENTED, price=price)),
        slo_classes=(SloClass("chat", ttft_ms * NS_PER_MS, itl_ms * NS_PER_MS),),
        default_slo="chat",
        limits=limits or Limits(),
    )
