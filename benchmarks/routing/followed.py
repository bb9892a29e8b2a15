"""Dynamo's own choices, followed request by request: where two simulators part, this shows it.

Chance breaks the ties of its KV router, and one tie broken otherwise changes everything after it,
so figures of whole runs only show whether two spreads are alike. Here a run of Dynamo's is recorded
and ours sends each request where that one did. Then nothing is left to chance: each choice must be
one of least cost by our own account, and each first token must come at the same time, with as much
of its prompt found cached.
"""

import json
import random
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.routing.mocked import Figures, replay
from router.policy.request import Request
from router.policy.units import NS_PER_US
from router.sim.plan import SimSession
from router.sim.rivals.dynamo_kv import DynamoKv

TIME_TOLERANCE_NS = 10 * NS_PER_US
"""Dynamo rounds every step to a nanosecond, and an answer may take thousands."""


class DynamoError(RuntimeError):
    """Dynamo did not replay what it was given; the message says how."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One request of a recorded run: where it went, and what came of it."""

    at_ms: float
    prompt_tokens: int
    output_tokens: int
    worker: int
    ttft_ms: float
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Followed:
    """A run of Dynamo's, and for how many of its requests ours agrees."""

    figures: Figures  # Dynamo's
    requests: int
    choices: int  # that are of least cost to ours
    times: int  # first tokens at the same time
    hits: int  # as much found cached

    @property
    def agrees(self) -> bool:
        """Whether every request is the same in both."""
        return self.choices == self.times == self.hits == self.requests


class _Follower(DynamoKv):
    """Goes where it is told, and counts how often it could have gone there by itself."""

    def __init__(self, left: dict[str, list[Choice]]) -> None:
        """`left`: by session, the choices that may be its own; twins share a list."""
        super().__init__(hears_steps=True)
        self._left = left
        self.own = 0
        self.followed: dict[str, Choice] = {}  # by session

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """As recorded; of twins, the one that costs least goes where it does."""
        _ = now, rng
        least, left = self.least(request, usable), self._left[request.session]
        choice = next((one for one in left if usable[one.worker] in least), left[0])
        left.remove(choice)
        self.followed[request.session] = choice
        self.own += usable[choice.worker] in least
        return usable[choice.worker]


def record(
    dynamo: Path, trace: Path, workers: int, block_tokens: int, speed: float
) -> tuple[Figures, list[Choice]]:
    """A run of Dynamo with its KV router. `trace` is not compressed. Raises DynamoError."""
    script = Path(__file__).with_name("dynamo_replay.py")
    with tempfile.NamedTemporaryFile(suffix=".json") as choices:
        given = (trace, workers, block_tokens, speed, "kv_router", choices.name)
        done = subprocess.run(
            [str(dynamo), str(script), *map(str, given)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise DynamoError(f"Dynamo's replay failed: {done.stderr.strip()[-500:]}")
        summary = json.loads(done.stdout.splitlines()[-1])
        del summary["seconds"]
        return Figures(**summary), [Choice(**one) for one in json.load(choices)]


def follow(
    figures: Figures,
    choices: Sequence[Choice],
    sessions: Sequence[SimSession],
    workers: int,
    block_tokens: int,
) -> Followed:
    """Ours, where each request goes as recorded. Raises DynamoError for another trace's record."""
    follower = _Follower(_matched(sessions, choices))
    records = replay(sessions, workers, block_tokens, follower, tells_steps=True)
    times = hits = 0
    for record in records:
        choice = follower.followed[record.session]
        times += abs(record.ttft_ns - choice.ttft_ms * 1e6) <= TIME_TOLERANCE_NS
        hits += record.cached_tokens == choice.cached_tokens
    return Followed(figures, len(records), follower.own, times, hits)


def _matched(sessions: Sequence[SimSession], choices: Sequence[Choice]) -> dict[str, list[Choice]]:
    """The choices of each session: more than one where others came at its time, as long as it.

    Dynamo's records name no request, and those of one instant are in any order.
    """

    def of_session(session: SimSession) -> tuple[int, int, int]:
        turn = session.turns[0]
        return session.at_ns, turn.prompt_tokens, turn.output_tokens

    def of_choice(choice: Choice) -> tuple[float, int, int]:
        return choice.at_ms, choice.prompt_tokens, choice.output_tokens

    ours = sorted(sessions, key=of_session)
    # Of twins at one worker, the first to be sent is the first to be served.
    theirs = sorted(choices, key=lambda choice: (*of_choice(choice), choice.ttft_ms))
    if [of_session(one)[1:] for one in ours] != [of_choice(one)[1:] for one in theirs]:
        raise DynamoError("Dynamo replayed other requests than the trace has")
    twins: dict[tuple[int, int, int], list[Choice]] = {}
    for session, choice in zip(ours, theirs, strict=True):
        twins.setdefault(of_session(session), []).append(choice)
    return {session.id: twins[of_session(session)] for session in ours}
