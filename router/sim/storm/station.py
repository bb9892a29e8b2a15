"""An endpoint in a storm: an engine that says one token a step, behind a link that may misbehave.

A token is a number that stands for what the engine must know to say it: the weights, the request
and the place. An engine that goes on with a request of which it does not restore everything says
tokens of its own, as a real one would.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

from router.policy.load import LoadReport
from router.policy.outcome import End
from router.policy.resume import TEXT, Mode
from router.sim.clock import Clock
from router.sim.storm.plan import WEIGHTS, Ask, Station

_PREFILL_TOKENS = 2_000  # in a step
_SLOW_TIMES = 50


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt of one request: the router's record of it, and the engine's."""

    number: int
    request: str  # by which the core knows it
    ask: Ask
    mode: Mode
    given: int  # tokens that the client had when it was sent
    sent_ns: int
    endpoint: str
    epoch: int  # of the connection that it went over
    moved_ns: int  # when it was last seen to go on
    messages: int = 0  # that reached the client
    read: int = 0  # that came from the endpoint
    seen: int = 0  # of those read, at the last look
    over: bool = False  # for the router
    said: int = 0  # by the engine
    prefilled: int = 0


class Spoken(NamedTuple):
    """One token on its way."""

    attempt: Attempt
    place: int
    token: int
    is_last: bool


def token_of(ask: Ask, weights: str, place: int, number: int, *, lost: bool = False) -> int:
    """The token at a place of an answer; `number` is the attempt's, for one that draws."""
    drawn = 0 if ask.repeatable else number
    return crc32(f"{weights} {ask.id} {place} {drawn} {lost}".encode())


class Engine:
    """One station's engine, its connection to the router and the link that this goes over."""

    def __init__(
        self,
        station: Station,
        way_ns: int,
        clock: Clock,
        hear: Callable[[str, int, list[Spoken]], None],
        crash: Callable[["Engine", Ask], None],
    ) -> None:
        self.station = station
        self.name = station.name
        self.weights = station.identity.weights or WEIGHTS
        self.restores = station.identity.restores or (TEXT,)
        self.alive = True
        self.hangs = False
        self.answer: End | None = None  # to every request, instead of tokens
        self.failed = 0  # requests answered as a failure
        self.epoch = 0
        self.is_half_open = False
        self.instance = 0
        self.slow = False
        self._held: list[tuple[Callable[..., None], tuple[object, ...]]] | None = None
        self._way_ns = way_ns
        self._clock = clock
        self._hear = hear
        self._crash = crash
        self._jobs: dict[int, Attempt] = {}
        self._stepping = False
        self._arrives_ns = 0
        self._sequence = 0

    @property
    def way_ns(self) -> int:
        """One way over the link, now."""
        return self._way_ns * (_SLOW_TIMES if self.slow else 1)

    @property
    def responds(self) -> bool:
        """Whether a probe over the connection would be answered."""
        return self.alive and not self.hangs and self._held is None and not self.is_half_open

    @property
    def jobs(self) -> int:
        """Requests in the engine."""
        return len(self._jobs)

    # -- the link --------------------------------------------------------------------------------

    def carry(self, call: Callable[..., None], *arguments: object) -> None:
        """Call at the other side of the link, after what is on its way already."""
        self._arrives_ns = max(self._arrives_ns, self._clock.now + self.way_ns)
        self._clock.at(self._arrives_ns, self._arrive, call, arguments)

    def _arrive(self, call: Callable[..., None], arguments: tuple[object, ...]) -> None:
        if self._held is None:
            call(*arguments)
        else:
            self._held.append((call, arguments))

    def hold(self) -> None:
        """From now on nothing arrives on either side."""
        if self._held is None:
            self._held = []

    def let_go(self) -> None:
        """All that was held up arrives at once, in its order."""
        held, self._held = self._held or [], None
        for call, arguments in held:
            call(*arguments)

    def lose_connection(self) -> None:
        """The engine's end of the connection is gone, and its requests with it."""
        self.epoch += 1
        self._jobs.clear()

    # -- the engine ------------------------------------------------------------------------------

    def submit(self, attempt: Attempt) -> None:
        """A request arrives."""
        if self.alive and attempt.epoch == self.epoch:
            self._jobs[attempt.number] = attempt
            self._wake()

    def count_answer(self) -> None:
        """A request was answered with what stands for tokens now."""
        self.failed += self.answer is End.FAILED

    def abort(self, attempt: Attempt) -> None:
        """A request is not wanted any more."""
        self._jobs.pop(attempt.number, None)

    def die(self) -> None:
        """Everything in it is lost."""
        self.alive = self.hangs = False
        self.instance += 1
        self.lose_connection()

    def go_on(self) -> None:
        """After a hang, with all it had."""
        self.hangs = False
        self._wake()

    def report(self) -> LoadReport:
        """What it says of itself."""
        self._sequence += 1
        slots = self.station.slots
        return LoadReport(
            endpoint=self.name,
            instance=f"{self.name}#{self.instance}",
            sequence=self._sequence,
            running=min(slots, len(self._jobs)),
            waiting=max(0, len(self._jobs) - slots),
            running_max=slots,
        )

    def _wake(self) -> None:
        if not self._stepping and self._jobs and not self.hangs:
            self._stepping = True
            self._clock.at(self._clock.now + self.station.step_ns, self._step)

    def _step(self) -> None:
        self._stepping = False
        if self.hangs:
            return
        spoken = []
        for attempt in list(self._jobs.values())[: self.station.slots]:
            continues = attempt.mode is Mode.CONTINUE
            prompt = attempt.ask.prompt_tokens + (attempt.given if continues else 0)
            if attempt.prefilled < prompt:
                attempt.prefilled += _PREFILL_TOKENS
                if attempt.ask.poison:
                    self._crash(self, attempt.ask)
                    return
                continue
            spoken.append(self._say(attempt, attempt.given if continues else 0))
        if spoken:
            self.carry(self._hear, self.name, self.epoch, spoken)
        self._wake()

    def _say(self, attempt: Attempt, base: int) -> Spoken:
        ask, place = attempt.ask, base + attempt.said
        lost = base > 0 and not set(ask.features).issubset(self.restores)
        attempt.said += 1
        is_last = place + 1 >= ask.output_tokens
        if is_last:
            del self._jobs[attempt.number]
        token = token_of(ask, self.weights, place, attempt.number, lost=lost)
        return Spoken(attempt, place, token, is_last)
