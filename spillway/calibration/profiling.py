"""Fits the latency profile of an endpoint, and finds how many streams it keeps an objective for.

First tokens are timed alone, for prompts of growing lengths: a line through them is what a prompt
takes at least, and what each of its tokens adds. Gaps between tokens are timed beside more and more
streams, until their 95th percentile is above the objective or all slots are taken.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.policy.fleet import LatencyProfile, SloClass
from spillway.calibration.asking import Asker
from spillway.calibration.highest_kept import HighestKept
from spillway.calibration.line import fit
from spillway.probing.endpoint import EndpointFound

PROMPT_TOKENS = (16, 128, 512, 2_048, 8_192)  # as far as the context and the time go
REPEATS = 3  # of which the quickest counts: the others met something else
OUTPUT_TOKENS = 24
SHORT_TOKENS = 32  # of the prompts of streams whose gaps are timed
STREAMS_MAX = 64  # side by side; one more teaches nothing that the line does not say
UNKNOWN_SLOTS = 8  # tried where an endpoint does not say how many it has
SHARE = 0.95  # of the gaps, that have to be within the objective
CALIBRATION_S = 90.0
LONGEST_SHARE = 0.25  # of the context, for a prompt


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured of one endpoint."""

    profile: LatencyProfile
    ttft_error: float  # mean relative error of the line through first tokens
    longest_tokens: int  # of the prompts that were timed
    streams: int  # side by side within the objective; 0 where not even one is
    streams_tried: int
    meets_alone: bool  # whether a stream alone is within both objectives


async def calibrate(
    asker: Asker,
    endpoint: EndpointFound,
    slo: SloClass,
    say: Callable[[str], None] = lambda _: None,
    limit_s: float = CALIBRATION_S,
) -> Calibration:
    """Measure an endpoint that serves nobody else, for about `limit_s`. Raises AskError."""
    give_up_s = time.monotonic() + limit_s
    await asker.ask(SHORT_TOKENS, 2, limit_s)  # what is compiled or loaded at the first request
    firsts = await _first_tokens(asker, endpoint, give_up_s - limit_s / 2, limit_s, say)
    firsts_line = fit([(float(tokens), float(ns)) for tokens, ns in firsts])
    gaps, streams, tried = await _gaps(asker, endpoint, slo, give_up_s, limit_s, say)
    gaps_line = fit([(float(beside), ns) for beside, ns in gaps])
    rtt_ns = endpoint.rtt_ns
    profile = LatencyProfile(
        ttft_ns=max(1, _digits(firsts_line.base - rtt_ns)),
        itl_ns=max(1, _digits(gaps_line.base)),
        ttft_ns_per_prompt_token=_digits(firsts_line.slope),
        itl_ns_per_stream=_digits(gaps_line.slope),
    )
    shortest = min(ns for _, ns in firsts)
    return Calibration(
        profile,
        firsts_line.error,
        max(tokens for tokens, _ in firsts),
        streams,
        tried,
        streams > 0 and shortest <= slo.ttft_ns,
    )


async def _first_tokens(
    asker: Asker,
    endpoint: EndpointFound,
    give_up_s: float,
    deadline_s: float,
    say: Callable[[str], None],
) -> list[tuple[int, int]]:
    """Prompt tokens with the soonest first token; at least of the shortest prompt."""
    context = endpoint.identity.server.max_model_len if endpoint.identity else 0
    longest = round(LONGEST_SHARE * context) if context else PROMPT_TOKENS[-1]
    found: list[tuple[int, int]] = []
    for tokens in PROMPT_TOKENS:
        if found and (tokens > longest or time.monotonic() > give_up_s):
            break
        heard = [await asker.ask(tokens, 2, deadline_s) for _ in range(REPEATS)]
        best = min(heard, key=lambda one: one.ttft_ns)
        found.append((best.prompt_tokens, best.ttft_ns))
        say(f"{best.prompt_tokens} tokens of prompt: first token after {best.ttft_ns / 1e6:.1f} ms")
    return found


async def _gaps(
    asker: Asker,
    endpoint: EndpointFound,
    slo: SloClass,
    give_up_s: float,
    deadline_s: float,
    say: Callable[[str], None],
) -> tuple[list[tuple[int, float]], int, int]:
    """Mean gaps by the streams beside; the most streams in time, and the most that were tried."""
    slots = endpoint.report.max_running_requests if endpoint.report else 0
    search = HighestKept(1, halvings=2, most=min(STREAMS_MAX, slots or UNKNOWN_SLOTS))
    found: list[tuple[int, float]] = []
    tried: set[int] = set()
    while search.load is not None and (not found or time.monotonic() < give_up_s):
        streams = max(1, int(search.load))
        if streams in tried:
            break
        tried.add(streams)
        heard = await asker.ask_together(streams, SHORT_TOKENS, OUTPUT_TOKENS, deadline_s)
        # Where all tokens come at once there are none.
        gaps = sorted(gap for one in heard for gap in one.gaps_ns) or [1.0]
        late = _quantile(gaps, SHARE)
        found.append((streams - 1, sum(gaps) / len(gaps)))
        search.tell(kept=late <= slo.itl_ns)
        said = f"{streams} streams: {found[-1][1] / 1e6:.1f} ms between tokens"
        say(f"{said}, 95 % within {late / 1e6:.1f} ms")
    return found, int(search.kept), max(tried)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _digits(value: float) -> int:
    """What was measured, to the three digits that it is good for."""
    return max(0, round(float(f"{value:.3g}")))
