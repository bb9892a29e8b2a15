"""A live site as the simulator will see it: measured before the workload, and unlike it.

Single streams with prompts of three lengths give the cost of a prompt and of a token of it; full
batches of short prompts give how the gap between tokens grows with the batch. What a first token
takes beyond a step of the engine is the way there and back.
"""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.serving.driver import Driver
from benchmarks.serving.record import Record
from benchmarks.serving.summary import quantile
from benchmarks.serving.target import connected
from benchmarks.workloads.prompts import Prompter
from benchmarks.workloads.sessions import Shape, sessions
from router.sim.plan import Link
from router.sim.profile import Profile

PROMPT_TOKENS = (32, 256, 768)
PROMPTS_EACH = 6  # the first of each length warms up
DECODE_PROMPT_TOKENS, DECODE_OUTPUT_TOKENS = 24, 64
BLOCK_TOKENS = 32  # the unit in which the engines cache prompts
KV_BLOCKS = 2_048  # more than the workload fills
DEADLINE_S = 120.0


class NotMeasuredError(RuntimeError):
    """A site did not answer as it must; the message says how."""


@dataclass(frozen=True, slots=True)
class LiveSite:
    """One site of the fleet under test, with one replica."""

    name: str
    address: str  # of the replica
    slots: int  # sequences it decodes at once


@dataclass(frozen=True, slots=True)
class Measured:
    """What the simulator needs to know of a site."""

    site: LiveSite
    link: Link
    profile: Profile

    def slower(self, factor: float) -> "Measured":
        """The same where every step takes so many times as long."""
        times = ("prefill_base_ps", "prefill_token_ps", "decode_base_ps", "decode_seq_ps")
        longer = {name: round(factor * getattr(self.profile, name)) for name in times}
        return replace(self, profile=replace(self.profile, **longer))

    def turns_per_s(self, prompt_tokens: int, output_tokens: int) -> float:
        """About what the site serves at most."""
        profile, slots = self.profile, self.site.slots
        step_ps = profile.decode_base_ps + slots * profile.decode_seq_ps
        turn_ps = profile.prefill_base_ps + prompt_tokens * profile.prefill_token_ps
        return 1e12 / (turn_ps + output_tokens * step_ps / slots)


async def measure(site: LiveSite, prompter: Prompter, seed: int) -> Measured:
    """Measure a site that nobody else uses. Raises NotMeasuredError."""
    firsts = []
    for tokens in PROMPT_TOKENS:
        records = await _drive(
            site, prompter, Shape(prompt_tokens=tokens, output_tokens=2), 1, seed
        )
        ttft_s = quantile([r.ttft_s for r in records[1:] if r.ttft_s is not None], 0.5)
        length = sum(record.prompt_tokens for record in records[1:]) / len(records[1:])
        firsts.append((length, ttft_s))
    first_s, token_s = _line(firsts)
    decode = Shape(prompt_tokens=DECODE_PROMPT_TOKENS, output_tokens=DECODE_OUTPUT_TOKENS)
    gaps = []
    for streams in sorted({1, site.slots}):
        records = await _drive(site, prompter, decode, streams, seed)
        gap_s = [one for r in records if (one := r.time_per_output_token_s) is not None]
        gaps.append((float(streams), quantile(gap_s, 0.5)))
    base_s, stream_s = _line(gaps) if len(gaps) > 1 else (gaps[0][1], 0.0)
    way_s = max(0.0, first_s - base_s - stream_s)
    profile = Profile(
        name=site.name,
        prefill_base_ps=_ps(base_s),
        prefill_token_ps=_ps(token_s),
        prefill_pair_ps=0,
        decode_base_ps=_ps(base_s),
        decode_seq_ps=_ps(stream_s),
        decode_context_ps=0,
        kv_blocks=KV_BLOCKS,
        block_tokens=BLOCK_TOKENS,
        seqs_max=site.slots,
    )
    return Measured(site, Link(int(way_s * 1e9)), profile)


async def _drive(
    site: LiveSite, prompter: Prompter, shape: Shape, streams: int, seed: int
) -> list[Record]:
    """So many streams at a time, each a few times."""
    records: list[Record] = []
    rng = random.Random(f"{seed} {site.name} {shape}")
    plan = sessions(itertools.repeat(0.0), shape, rng=rng, duration_s=math.inf)
    async with connected(site.address, deadline_s=DEADLINE_S) as target:
        driver = Driver(target, prompter, records.append)
        await driver.closed_loop(itertools.islice(plan, PROMPTS_EACH * streams), streams)
    for record in records:
        if record.status != "OK":
            raise NotMeasuredError(f"{site.name} failed: {record.status} {record.detail}")
    return records


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Least squares y = a + b x, neither of them negative."""
    count = len(points)
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
    slope = max(0.0, slope)
    return max(0.0, mean_y - slope * mean_x), slope


def _ps(seconds: float) -> int:
    return round(seconds * 1e12)
