"""The engine of NVIDIA Dynamo's mocker, as a model for `router.sim.engine`: a second opinion.

Source: ai_dynamo_runtime 1.6.1, its default timing. In milliseconds,

    prefill = 4.209989e-7 n^2 + 1.518344e-2 n + 16.50142
    decode  = -25.74 p^2 + 54.01 p + 5.74

where n is the tokens that a step prefills, rounded down to a multiple of the k prompts they belong
to, and p the context of all decoding sequences as a share of the cache, at most 1. A step takes the
sum of both; a request that gets its first token in it is not decoding yet. Only prompts cost
prefill: what a preempted request had answered already is recomputed beside the decoding.

A request is admitted where all of it fits, though its blocks are taken chunk by chunk. All other
rules are the engine's own. Each sequence gains a token of context a step, so p grows by the same
amount each time, and the time of many steps is a polynomial of the third degree. The mocker rounds
every step to a nanosecond; here a run of steps is rounded once, to a picosecond.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from router.sim.job import Job
from router.sim.run import Run

_PREFILL_SQUARE, _PREFILL_TOKEN, _PREFILL_BASE = 4_209_989, 151_834_400_000, 165_014_200_000_000
_PREFILL_PER_PS = 10_000  # the three are in ms / 1e13
_DECODE_SQUARE, _DECODE_SHARE, _DECODE_BASE = -2_574, 5_401, 574
_DECODE_PS = 10_000_000  # the three are in ms / 100


@dataclass(slots=True)
class MockerRun(Run):
    """Steps that only decode. `first_ps` and `growth_ps` are not used."""

    sequences: int = 0
    context_tokens: int = 0  # before the first step
    capacity: int = 1

    def duration_ps(self, steps: int) -> int:
        """How long the first `steps` steps last."""
        return decode_ps(self.sequences, self.context_tokens, self.capacity, steps)

    def steps_until(self, duration_ps: int) -> int:
        """The fewest steps that last at least `duration_ps`, and at least one."""
        # Steps grow longer, so their share of the time is a low guess of their share of the steps.
        steps = max(1, self.steps * duration_ps // (self.end_ps - self.begun_ps))
        while (missing_ps := duration_ps - self.duration_ps(steps)) > 0:
            steps += max(1, missing_ps // self._step_ps(self.steps - 1))
        return steps

    def slow_steps(self, slow_ps: int) -> int:
        """How many of the steps last longer than `slow_ps`; each is as long as the last or more."""
        if self._step_ps(self.steps - 1) <= slow_ps:
            return 0
        return self.steps - bisect_right(range(self.steps), slow_ps, key=self._step_ps)

    def _step_ps(self, index: int) -> int:
        """How long the step after `index` others lasts."""
        return decode_ps(
            self.sequences, self.context_tokens + self.sequences * index, self.capacity, 1
        )


@dataclass(frozen=True, slots=True)
class Mocker:
    """One of the mocker's workers; see router.sim.profile.EngineModel."""

    name: str = "mocker"
    kv_blocks: int = 16_384
    block_tokens: int = 64
    seqs_max: int = 256
    step_tokens_max: int = 8_192

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds."""
        return self.kv_blocks * self.block_tokens

    @property
    def admits_whole(self) -> bool:
        """Yes: the whole prompt must find room, beside what it shares with running requests."""
        return True

    def decode_run(self, now_ps: int, steps: int, sequences: int, context_tokens: int) -> Run:
        """So many steps that only decode."""
        capacity = self.kv_tokens
        end_ps = now_ps + decode_ps(sequences, context_tokens, capacity, steps)
        return MockerRun(
            now_ps, end_ps, steps, 0, 0, (), False, sequences, context_tokens, capacity
        )

    def step_ps(
        self, chunks: Sequence[tuple[Job, int]], sequences: int, context_tokens: int
    ) -> int:
        """The time of a step that prefills, or recomputes, beside what decodes."""
        prompts = before = after = 0
        for job, end in chunks:
            if job.computed < job.prompt_tokens:
                prompts += 1
                before += job.computed
                after += min(end, job.prompt_tokens)
            if job.made and end == job.tokens:  # it has had its first token, and gets its next
                sequences += 1
                context_tokens += job.tokens
        duration_ps = decode_ps(sequences, context_tokens, self.kv_tokens, 1) if sequences else 0
        if prompts:
            tokens = prompts * (after // prompts - before // prompts)
            duration_ps += prefill_ps(tokens)
        return duration_ps


def prefill_ps(tokens: int) -> int:
    """The time in which a step prefills so many tokens."""
    units = (_PREFILL_SQUARE * tokens + _PREFILL_TOKEN) * tokens + _PREFILL_BASE
    return units // _PREFILL_PER_PS


def decode_ps(sequences: int, context_tokens: int, capacity: int, steps: int) -> int:
    """The time of so many steps of decoding, each with a token more of every sequence."""
    # Sequences may share blocks, so their context can be more than the cache holds.
    rising = min(steps, max(0, (capacity - context_tokens) // sequences + 1))
    ones = rising * (rising - 1) // 2  # 0 + 1 + 2 ..., and the same of their squares
    squares = ones * (2 * rising - 1) // 3
    linear = context_tokens * rising + sequences * ones
    square = context_tokens * (linear + sequences * ones) + sequences * sequences * squares
    units = capacity * (_DECODE_SHARE * linear + _DECODE_BASE * capacity * rising)
    duration_ps = _DECODE_PS * (units + _DECODE_SQUARE * square) // (capacity * capacity)
    full_ps = _DECODE_PS * (_DECODE_SQUARE + _DECODE_SHARE + _DECODE_BASE)
    return duration_ps + full_ps * (steps - rising)
