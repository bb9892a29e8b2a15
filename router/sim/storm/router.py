"""What a live router does around its core, in virtual time: performs decisions, tells outcomes.

Every call of the core goes through `_ask` or `_tell`, which is where the log of a storm is made.
"""

import random
from collections.abc import Iterable
from dataclasses import replace

from router.policy.decision import Decision, Mode, Refuse, Send, Wait
from router.policy.fleet import Fleet
from router.policy.hedge import hedge_id
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.units import NS_PER_MS
from router.policy.vigil import Beat
from router.sim.storm.clock import JumpingClock
from router.sim.storm.listing import Log, StormListing
from router.sim.storm.plan import DEADLINE_NS, MODEL, Ask, Storm
from router.sim.storm.station import Attempt, Engine, Spoken
from router.sim.storm.turn import CANCELLED, LATE, OK, BrokenError, Turn

LOOK_NS = 50 * NS_PER_MS
_TELLING_NS = 100 * NS_PER_MS  # a shorter silence is not told to the core
_UNANSWERED_MAX = 2
_AGAIN_NS = 100 * NS_PER_MS  # after which a stubborn client asks again


class StormRouter(StormListing):
    """One router: its core, its turns, and what it holds of each endpoint's connection."""

    def __init__(self, storm: Storm, clock: JumpingClock, log: Log | None) -> None:
        super().__init__(storm, clock, log)
        self.turns: dict[str, Turn] = {}
        self.lost_attempts = 0  # with their endpoints: what follows them is no retry
        self.late_tokens = 0  # of abandoned attempts, dropped
        self.hedges = 0
        self.hedged_usd = 0.0  # what they were expected to cost
        self._rng = random.Random(storm.seed)
        self._attempts = 0
        self._open: dict[str, Turn] = {}
        self._coming = 0  # requests that are about to come
        self._looked_ns = 0

    # -- endpoints -------------------------------------------------------------------------------

    def reload(self, fleet: Fleet) -> None:
        """The fleet file is another one."""
        super().reload(fleet)
        self._release()

    def lose(self, name: str, epoch: int) -> None:
        """The connection broke: every attempt that went over it ends."""
        self.set_connected(name, connected=False)
        for turn in list(self._open.values()):
            for attempt in turn.open:
                if attempt.endpoint == name and attempt.epoch < epoch:
                    self._fail(turn, attempt, End.UNREACHABLE)

    # -- requests --------------------------------------------------------------------------------

    def begin(self, ask: Ask) -> None:
        """A client asks."""
        turn = self.turns[ask.id] = self._open[ask.id] = Turn(ask)
        now = self.clock.now
        request = Request(
            id=ask.id,
            model=MODEL,
            session=ask.session,
            slo=ask.slo,
            prompt_tokens=ask.prompt_tokens,
            max_new_tokens=ask.output_tokens,
            deadline_ns=now + DEADLINE_NS,
            fingerprint=ask.prompt,
        )
        self.clock.at(now + DEADLINE_NS, self._leave, turn, End.TIMED_OUT, LATE)
        if ask.cancelled_after_ns is not None:
            self.clock.at(now + ask.cancelled_after_ns, self._leave, turn, End.CANCELLED, CANCELLED)
        self._follow(turn, self.core.on_request(request, now, self._rng))
        self._release()

    def hear(self, name: str, epoch: int, spoken: Iterable[Spoken]) -> None:
        """Tokens come over a connection."""
        if epoch != self.engines[name].epoch:
            return  # the connection is gone, and what was on its way with it
        for one in spoken:
            turn = self.turns[one.attempt.ask.id]
            if one.attempt in turn.open:
                self._hear(turn, one)
            else:
                self.late_tokens += 1
        self._release()

    def answer(self, attempt: Attempt, end: End) -> None:
        """An endpoint answered with a status instead of tokens."""
        turn = self.turns[attempt.ask.id]
        if attempt in turn.open:
            self._fail(turn, attempt, end)
        self._release()

    def _release(self) -> None:
        """What becomes of those who wait in the core's queue."""
        for decision in self.core.release(self.clock.now, self._rng):
            self._follow(self._turn(decision.request), decision)

    def _turn(self, request: str) -> Turn:
        """The open turn that the core knows by this id, or by that of its hedge."""
        return self._open[request.removesuffix(hedge_id(""))]

    def _hear(self, turn: Turn, spoken: Spoken) -> None:
        attempt, now = spoken.attempt, self.clock.now
        attempt.read += 1
        if attempt.read == 1:
            first = FirstToken(attempt.request, attempt.endpoint, now - attempt.sent_ns)
            self._say("%s", first)
            self.core.on_outcome(first, now, self._rng)
            self._win(turn, attempt)
        if attempt.mode is Mode.REPLAY and attempt.read <= attempt.given:
            if spoken.token != turn.given[attempt.read - 1].token:
                self._fail(turn, attempt, End.REJECTED)
            return
        if not turn.given:
            turn.weights = self.engines[attempt.endpoint].weights
        turn.given.append(spoken)
        attempt.messages += 1
        if spoken.is_last:
            self._end_attempt(attempt, End.OK, None)
            self._end(turn, OK)

    def _win(self, turn: Turn, attempt: Attempt) -> None:
        """An attempt has given its first token: the one beside it, if any, is ended."""
        losers = [one for one in turn.open if one is not attempt]
        turn.attempt, turn.rival = attempt, None
        for loser in losers:
            self._end_attempt(loser, End.CANCELLED, None)

    def _hedge(self, turn: Turn, attempt: Attempt) -> None:
        """The time that an attempt had for its first token alone has passed."""
        if turn.attempt is not attempt or attempt.read:
            return
        decision = self.core.on_hedge_due(attempt.request, self.clock.now, self._rng)
        if not isinstance(decision, Send):
            return
        if decision.site == self.engines[attempt.endpoint].station.site:
            raise BrokenError(f"{turn.ask.id} was hedged at the site that it waits for")
        self.hedges += 1
        self.hedged_usd += decision.chosen.price_usd
        turn.rival = self._send(turn, decision)

    def _fail(self, turn: Turn, attempt: Attempt, end: End) -> None:
        point = self._point(turn) if attempt.messages else None
        decision = self._end_attempt(attempt, end, point)
        if turn.rival is not None:  # before a first token: the other one goes on
            if decision is not None:
                raise BrokenError(f"{turn.ask.id} is to be sent a third time at once")
            turn.attempt = turn.rival if attempt is turn.attempt else turn.attempt
            turn.rival = None
            return
        if decision is None:
            self._end(turn, end.value)
            return
        if not isinstance(decision, Refuse):
            turn.resumes += bool(attempt.messages)
        turn.attempt = None
        self._follow(turn, decision)

    def _point(self, turn: Turn) -> ResumePoint:
        ask = turn.ask
        return ResumePoint(len(turn.given), ask.prompt_tokens, ask.features, ask.repeatable)

    def _follow(self, turn: Turn, decision: Decision) -> None:
        if isinstance(decision, Wait):
            self._say("%s waits", decision.request)
            turn.waits_as = decision.request
            return
        if not isinstance(decision, Send):
            self._end(turn, decision.reason)
            return
        turn.attempt = self._send(turn, decision)
        if decision.hedge_ns:
            at_ns = self.clock.now + decision.hedge_ns
            self.clock.at(at_ns, self._hedge, turn, turn.attempt)

    def _send(self, turn: Turn, decision: Send) -> Attempt:
        self._say(
            "%s -> %s (%s, %s)",
            decision.request,
            decision.endpoint,
            decision.rule.value,
            decision.mode.value,
        )
        self.must_be_allowed(decision)
        engine, now = self.engines[decision.endpoint], self.clock.now
        self._attempts += 1
        turn.attempts += 1
        given = len(turn.given)
        attempt = Attempt(
            number=self._attempts,
            request=decision.request,
            ask=turn.ask,
            mode=decision.mode,
            given=given,
            sent_ns=now,
            endpoint=engine.name,
            epoch=engine.epoch,
            moved_ns=now,
        )
        if not engine.alive:
            self.clock.at(now + engine.way_ns, self.answer, attempt, End.UNREACHABLE)
        elif not engine.is_half_open:
            engine.carry(self._reach, engine, attempt)
        return attempt

    def _reach(self, engine: Engine, attempt: Attempt) -> None:
        """The request is at its endpoint."""
        if engine.answer is not None and engine.alive:
            engine.count_answer()
            engine.carry(self.answer, attempt, engine.answer)
        else:
            engine.submit(attempt)

    def _end_attempt(
        self, attempt: Attempt, end: End, point: ResumePoint | None
    ) -> Decision | None:
        attempt.over = True
        engine, now = self.engines[attempt.endpoint], self.clock.now
        if end is not End.OK and attempt.epoch == engine.epoch and not engine.is_half_open:
            engine.carry(engine.abort, attempt)
        ended = Ended(
            request=attempt.request,
            endpoint=attempt.endpoint,
            end=end,
            output_tokens=attempt.read,
            messages=attempt.messages,
            duration_ns=now - attempt.sent_ns,
            resume=point,
        )
        self._say("%s", ended)
        is_gone = attempt.endpoint not in self.listed or not self.connected[attempt.endpoint]
        self.lost_attempts += end is End.UNREACHABLE or is_gone
        return self.core.on_outcome(ended, now, self._rng)

    def _leave(self, turn: Turn, end: End, status: str) -> None:
        """The client goes, or its deadline passes."""
        if turn.status:
            return
        waits_as = turn.waits_as
        for attempt in turn.open:
            self._end_attempt(attempt, end, None)
        self.core.on_withdrawn(waits_as, self.clock.now)
        self._end(turn, status)

    def _end(self, turn: Turn, status: str) -> None:
        ask = turn.ask
        self._say("%s ends: %s", ask.id, status)
        turn.end(status)
        del self._open[ask.id]
        if ask.repeats:
            again = replace(ask, id=f"{ask.id} again", repeats=ask.repeats - 1)
            self._coming += 1
            self.clock.at(self.clock.now + _AGAIN_NS, self._repeat, again)

    def _repeat(self, ask: Ask) -> None:
        self._coming -= 1
        self.begin(ask)

    # -- what goes on by itself ------------------------------------------------------------------

    def tick(self) -> None:
        """About a second has passed."""
        self.core.on_tick(self.clock.now)

    def look(self) -> None:
        """Look for streams that have fallen silent, as router.live.vigil does."""
        now = self.clock.now
        self._release()
        late_ns = now - self._looked_ns - LOOK_NS
        self._looked_ns = now
        attempts = [attempt for turn in self._open.values() for attempt in turn.open]
        if late_ns > _TELLING_NS:
            for attempt in attempts:
                attempt.moved_ns += late_ns
            return
        self._doubt()
        for name in sorted({attempt.endpoint for attempt in attempts}):
            self._look_at(name, [one for one in attempts if one.endpoint == name], now)

    def _look_at(self, name: str, attempts: list[Attempt], now: int) -> None:
        ended_ns = latest_ns = 0
        silent = []
        for attempt in attempts:
            if attempt.seen != attempt.read:
                if attempt.seen:
                    ended_ns = max(ended_ns, now - attempt.moved_ns)
                attempt.seen, attempt.moved_ns = attempt.read, now
            elif now - attempt.moved_ns >= _TELLING_NS:
                silent.append(attempt)
            if attempt.read:
                latest_ns = max(latest_ns, attempt.moved_ns)
        if not silent:
            return
        silences = tuple((one.request, now - one.moved_ns) for one in silent)
        beat = Beat(name, now - latest_ns, ended_ns if ended_ns >= _TELLING_NS else 0, silences)
        for request in self.core.given_up(beat, now):
            turn = self._turn(request)
            for attempt in turn.open:
                if attempt.request == request:
                    self._say("%s is given up at %s", request, name)
                    self._fail(turn, attempt, End.STALLED)

    def probe(self) -> None:
        """Ask every endpoint whether it lives: two questions unanswered are a lost connection."""
        for name in sorted(self.listed):
            engine = self.engines[name]
            if engine.responds:
                self.set_connected(name, connected=True)
                self._unanswered[name] = 0
                continue
            self._unanswered[name] = self._unanswered.get(name, 0) + 1
            if self._unanswered[name] >= _UNANSWERED_MAX:
                self.set_connected(name, connected=False)
                if engine.is_half_open:  # gRPC makes a new connection
                    engine.is_half_open = False

    def _doubt(self) -> None:
        """Ask the silent ones at once."""
        now = self.clock.now
        silent = [n for n in self.listed if self.core.should_ask(Beat(n, 0, 0, ()), now)]
        for name in sorted(silent):
            if not self.engines[name].responds:
                self._unanswered[name] = _UNANSWERED_MAX - 1
        if silent:
            self.probe()

    @property
    def is_idle(self) -> bool:
        """Whether no turn is open or about to be."""
        return not (self._open or self._coming)
