"""A world in virtual time: sessions, routers with their own views, links, replicas, faults.

It drives any `Policy` through the entry points that router.live uses, and decides nothing itself.
Everything random comes from one seed, so the same world gives the same records to the byte.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from zlib import crc32

from router.policy.decision import Decision, Refuse, Wait
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.meter import Share
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_S
from router.sim.autoscaling import Autoscale, Autoscaling
from router.sim.clock import Clock
from router.sim.disruptions import Disruptions
from router.sim.job import Job
from router.sim.meter import Meter
from router.sim.network import Network
from router.sim.plan import MODEL, Scenario, SimSession
from router.sim.policy import Hold, Policy
from router.sim.profile import PS_PER_NS, EngineModel
from router.sim.record import TurnRecord
from router.sim.replica import Replica


@dataclass(slots=True, eq=False)
class _Attempt:
    """One attempt of one turn, on its way, in its engine or on its way back."""

    request: Request
    record: TurnRecord
    session: SimSession
    router: int
    replica: Replica
    job: Job
    sent_ns: int
    heard_ns: int = 0  # when its last message is heard: a stream keeps its order
    messages: int = 0
    share: Share | None = None  # of what its site costs, where that is metered
    over: bool = False


class World:
    """One run. `on_record` is told of every turn as it ends, and nothing of it is kept."""

    def __init__(
        self,
        scenario: Scenario,
        replicas: Iterable[tuple[str, str, EngineModel]],  # name, site, profile
        policies: Sequence[Policy],
        on_record: Callable[[TurnRecord], None],
        autoscale: Autoscale | None = None,
    ) -> None:
        self.clock = Clock()
        self._scenario = scenario
        self._policies = policies
        self._on_record = on_record
        self._rng = random.Random(scenario.seed)
        self._network = Network(scenario.links, self.clock, self._rng)
        self._attempts: dict[int, _Attempt] = {}
        self._waiting: dict[str, tuple[Request, TurnRecord, SimSession, int]] = {}
        self._watched: set[int] = set()  # routers that will be asked about those who wait
        self._jobs = 0
        self._open = 0  # turns not over, and sessions that think
        self._more = True  # sessions still to arrive
        self._meters = {site: Meter(price) for site, price in scenario.prices.items()}
        self.replicas = {
            name: Replica(
                name,
                site,
                profile,
                self.clock,
                scenario,
                self._first_token,
                self._finished,
                self._send_report if scenario.reports_steps else None,
            )
            for name, site, profile in replicas
        }
        self.autoscaling = (
            None
            if autoscale is None
            else Autoscaling(
                autoscale,
                self.clock,
                self.replicas,
                policies,
                list_one=self._list,
                report=self._send_report,
                ongoing=self._ongoing,
                busy=self._busy,
            )
        )

        self._disruptions = Disruptions(
            self.clock, self._network, self.replicas, policies, break_off=self._break_off
        )

    def run(self, sessions: Iterable[SimSession]) -> None:
        """Run all sessions, in the order of their offsets, to their ends."""
        if self.autoscaling is not None:
            self.autoscaling.begin()
        late = {one.site: one.at_ns for one in self._scenario.arrivals}
        for replica in self.replicas.values():
            if replica.site in late:
                self.clock.at(late[replica.site], self._meet, replica)
            else:
                self._meet(replica)
        self._disruptions.schedule(self._scenario)
        self._tick()
        self._arrive(iter(sessions))
        self.clock.run()
        if self.autoscaling is not None:
            self.autoscaling.end()

    # -- sessions --------------------------------------------------------------------------------

    def _arrive(self, sessions: Iterator[SimSession]) -> None:
        """Set the next session's first turn: a stream of any length costs one at a time."""
        session = next(sessions, None)
        if session is None:
            self._more = False
            return
        self._open += 1
        self.clock.at(session.at_ns, self._begin, session, sessions)

    def _begin(self, session: SimSession, sessions: Iterator[SimSession]) -> None:
        self._turn(session, 0, "")
        self._arrive(sessions)

    def _turn(self, session: SimSession, index: int, previous: str) -> None:
        turn = session.turns[index]
        now = self.clock.now
        router = crc32(session.id.encode()) % len(self._policies)
        full = turn.prompt_tokens // self._scenario.block_tokens
        request = Request(
            id=f"{session.id}/{index}",
            model=self._scenario.asks,
            session=session.id,
            slo=session.slo,
            tenant=session.tenant,
            priority=turn.priority,
            prompt_tokens=turn.prompt_tokens,
            max_new_tokens=max(turn.output_tokens, self._scenario.max_new_tokens),
            prefix=turn.blocks[:full],
            prefix_block_tokens=self._scenario.block_tokens,
        )
        record = TurnRecord(
            session=session.id,
            turn=index,
            sent_ns=now,
            prompt_tokens=turn.prompt_tokens,
            output_tokens=turn.output_tokens,
            slo=session.slo,
            tenant=session.tenant,
            previous=previous,
        )
        self._ask(request, record, session, router)

    def _ask(self, request: Request, record: TurnRecord, session: SimSession, router: int) -> None:
        decision = self._policies[router].on_request(request, self.clock.now, self._rng)
        self._act(decision, request, record, session, router)
        self._release(router)

    def _over(self, record: TurnRecord, session: SimSession) -> None:
        """A turn is over: the next one follows, also where this one failed, as users go on.

        So every policy is asked the same, and none does better by driving users away.
        """
        self._on_record(record)
        index = record.turn + 1
        if index == len(session.turns):
            self._open -= 1
            return
        at_ns = self.clock.now + session.turns[index].think_ns
        answered_by = record.previous if record.refused else record.endpoint
        self.clock.at(at_ns, self._turn, session, index, answered_by)

    # -- attempts --------------------------------------------------------------------------------

    def _act(
        self,
        decision: Decision | Hold | None,
        request: Request,
        record: TurnRecord,
        session: SimSession,
        router: int,
    ) -> None:
        if isinstance(decision, Hold):
            self.clock.at(decision.until_ns, self._ask, request, record, session, router)
            return
        if isinstance(decision, Wait):
            self._waiting[request.id] = (request, record, session, router)
            return
        if decision is None or isinstance(decision, Refuse):
            record.refused = decision.rule.value if decision else "failed"
            self._over(record, session)
            return
        replica = self.replicas[decision.endpoint]
        record.site, record.endpoint = decision.site, decision.endpoint
        record.rule, record.attempts = decision.rule.value, decision.attempt
        turn = session.turns[record.turn]
        self._jobs += 1
        job = Job(self._jobs, turn.prompt_tokens, turn.output_tokens, turn.blocks, request.priority)
        now = self.clock.now
        attempt = _Attempt(request, record, session, router, replica, job, now)
        if meter := self._meters.get(replica.site):
            prefill_ps = replica.profile.step_ps(((job, job.prompt_tokens),), 0, 0)
            attempt.share = meter.begin(replica.name, prefill_ps / PS_PER_NS, now)
        self._attempts[job.id] = attempt
        sent_bytes = turn.prompt_tokens * self._scenario.prompt_bytes_per_token
        reached_ns = now + self._network.request_ns(replica.site, sent_bytes)
        self._network.deliver(replica.site, reached_ns, self._reach, attempt)

    def _release(self, router: int) -> None:
        """Perform what a router says of those who wait; see Policy.release."""
        policy = self._policies[router]
        for answer in policy.release(self.clock.now, self._rng):
            self._act(answer, *self._waiting.pop(answer.request))
        at_ns = policy.release_ns
        if at_ns is not None and router not in self._watched:
            self._watched.add(router)
            self.clock.at(max(at_ns, self.clock.now + 1), self._look, router)

    def _look(self, router: int) -> None:
        self._watched.discard(router)
        self._release(router)

    def _reach(self, attempt: _Attempt) -> None:
        """The request is at its replica, if that lives."""
        if attempt.over:
            return
        replica = attempt.replica
        failing = self._scenario.failing.get(replica.name)
        fails = failing is not None and self._rng.random() < failing
        if replica.alive and not fails:
            replica.submit(attempt.job)
        else:
            heard_ns = self.clock.now + self._network.way_ns(replica.site)
            end = End.FAILED if replica.alive else End.UNREACHABLE
            self._network.deliver(replica.site, heard_ns, self._end, attempt, end)

    def _first_token(self, replica: Replica, job: Job, at_ns: int) -> None:
        attempt = self._attempts.get(job.id)
        if attempt is None:  # given up while its last step was under way
            return
        attempt.heard_ns = at_ns + self._network.way_ns(replica.site)
        self._network.deliver(replica.site, attempt.heard_ns, self._hear_first, attempt)

    def _finished(self, replica: Replica, job: Job, at_ns: int) -> None:
        attempt = self._attempts.get(job.id)
        if attempt is None:
            return
        heard_ns = max(attempt.heard_ns, at_ns + self._network.way_ns(replica.site))
        self._network.deliver(replica.site, heard_ns, self._end, attempt, End.OK)

    def _hear_first(self, attempt: _Attempt) -> None:
        if attempt.over:
            return
        now = self.clock.now
        attempt.messages = 1
        if attempt.share is not None:
            replica = attempt.replica
            self._meters[replica.site].first_token(replica.name, attempt.share, now)
        attempt.record.ttft_ns = now - attempt.record.sent_ns
        outcome = FirstToken(attempt.request.id, attempt.replica.name, now - attempt.sent_ns)
        self._policies[attempt.router].on_outcome(outcome, now, self._rng)
        self._release(attempt.router)

    def _end(self, attempt: _Attempt, end: End) -> None:
        if attempt.over:
            return
        attempt.over = True
        del self._attempts[attempt.job.id]
        now = self.clock.now
        record, job = attempt.record, attempt.job
        if end is not End.OK and attempt.replica.alive:
            attempt.replica.cancel(job)
        egress_bytes = 0
        if attempt.share is not None:
            if end is End.OK:
                egress_bytes = job.output_tokens * self._scenario.answer_bytes_per_token
            meter = self._meters[attempt.replica.site]
            record.usd += meter.end(attempt.replica.name, attempt.share, egress_bytes, now)
            record.egress_bytes += egress_bytes
        outcome = Ended(
            request=attempt.request.id,
            endpoint=attempt.replica.name,
            end=end,
            output_tokens=job.output_tokens if end is End.OK else 0,
            messages=attempt.messages,
            duration_ns=now - attempt.sent_ns,
            egress_bytes=egress_bytes,
            slow_gaps=job.slow_gaps,
        )
        decision = self._policies[attempt.router].on_outcome(outcome, now, self._rng)
        if end is End.OK:
            record.end_to_end_ns = now - record.sent_ns
            record.cached_tokens, record.slow_gaps = job.cached_tokens, job.slow_gaps
            self._over(record, attempt.session)
        else:
            self._act(decision, attempt.request, record, attempt.session, attempt.router)
        self._release(attempt.router)

    # -- replicas --------------------------------------------------------------------------------

    def _meet(self, replica: Replica) -> None:
        """A replica is there from now on."""
        if replica.alive:
            self._list(replica)
        self._report(replica)
        if self._network.varies(replica.site):
            self._measure(replica)

    def _list(self, replica: Replica) -> None:
        rtt_ns = self._network.round_trip_ns(replica.site)
        for policy in self._policies:
            model = self._scenario.models.get(replica.name, MODEL)
            policy.on_endpoint_up(Endpoint(replica.name, replica.site, model), self.clock.now)
            policy.on_rtt(replica.name, rtt_ns, self.clock.now)

    def _measure(self, replica: Replica) -> None:
        """Measure the round trip to a replica, and again after a while."""
        if replica.alive and not self._network.is_cut(replica.site):
            rtt_ns = self._network.round_trip_ns(replica.site)
            for policy in self._policies:
                policy.on_rtt(replica.name, rtt_ns, self.clock.now)
        if self._busy():
            at_ns = self.clock.now + self._scenario.rtt_interval_ns
            self.clock.at(at_ns, self._measure, replica)

    def _report(self, replica: Replica) -> None:
        interval_ns = self._scenario.report_interval_ns
        if interval_ns is None or not self._busy():
            return
        self._send_report(replica)
        self.clock.at(self.clock.now + interval_ns, self._report, replica)

    def _send_report(self, replica: Replica) -> None:
        if replica.alive and not self._network.is_cut(replica.site):
            delay_ns = self._network.way_ns(replica.site) + self._scenario.report_delay_ns
            self.clock.at(self.clock.now + delay_ns, self._hear_report, replica.report())

    def _hear_report(self, report: LoadReport) -> None:
        for router, policy in enumerate(self._policies):
            policy.on_load(report, self.clock.now)
            self._release(router)

    def _break_off(self, replica: Replica, heard_ns: int, end: End) -> None:
        """All attempts at a replica end; its routers hear of it at `heard_ns`."""
        for attempt in list(self._attempts.values()):
            if attempt.replica is replica:
                self.clock.at(heard_ns, self._end, attempt, end)

    def _tick(self) -> None:
        for router, policy in enumerate(self._policies):
            policy.on_tick(self.clock.now)
            self._release(router)
        self._disruptions.weigh(sum(meter.spent_usd for meter in self._meters.values()))
        if self._busy():
            self.clock.at(self.clock.now + NS_PER_S, self._tick)

    def _ongoing(self) -> Counter[str]:
        """The requests at each replica, and by an empty name those that wait in routers."""
        counts = Counter(attempt.replica.name for attempt in self._attempts.values())
        counts[""] = len(self._waiting)
        return counts

    def _busy(self) -> bool:
        return self._more or self._open > 0
