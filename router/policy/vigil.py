"""Looks over the streams of one endpoint that are silent: which of them are given up?"""

from collections.abc import Mapping
from typing import NamedTuple

from router.policy.flight import Flight
from router.policy.stall import Signs, is_stalled, patience_ns
from router.policy.tracked import Tracked

_STEP_TOKENS_MAX = 2_048  # of prompts that an engine prefills between two tokens of a stream
_ROUND_TRIPS = 2
_PATIENCES = 4  # for a first token that is overdue where reports come,
_ROUTES = 3.0  # and so many times that where a router holds the same vigil over its own endpoints


class Beat(NamedTuple):
    """What whoever holds the streams of one endpoint saw of them. Times in nanoseconds."""

    endpoint: str
    quiet_ns: int  # since any of them went on
    ended_ns: int  # the longest silence that has ended since the last beat; 0: none worth telling
    silent: tuple[tuple[str, int], ...]  # those that are silent, by request, and for how long
    begun: bool = False  # whether any of them has given anything yet


def given_up(
    tracked: Tracked, flights: Mapping[str, Flight], beat: Beat, now: int
) -> tuple[str, ...]:
    """The requests of a beat whose attempts will give nothing more."""
    signs = signs_of(tracked, beat.quiet_ns, now)
    stalled = []
    for request, silent_ns in beat.silent:
        flight = flights.get(request)
        if flight is not None and flight.endpoint == beat.endpoint:
            if not flight.request.streams:
                # Only that nobody is there any more says anything of an answer that comes whole.
                gone = not signs.connected and is_stalled(silent_ns, signs)
            elif flight.first_ns:
                gone = is_stalled(silent_ns, signs)
            else:
                gone = _is_overdue(flight, silent_ns, signs, now)
            if gone:
                stalled.append(request)
    return tuple(stalled)


def learn(tracked: Tracked, beat: Beat, now: int) -> None:
    """Remember the silence that has ended as one that the endpoint survived.

    Less the prefill that stood in its way, for which there is patience apart; and as no longer than
    the patience with it. What was silent for longer had failed, and was healed: remembered whole,
    it would have the next failure last several times as long. An engine that has become slow at one
    stroke is caught up with in some steps.
    """
    if not (beat.silent or beat.ended_ns):
        return
    signs, liveness = signs_of(tracked, beat.quiet_ns, now), tracked.liveness
    if beat.ended_ns:
        own_ns = beat.ended_ns - int(liveness.prefill_ns)
        liveness.tokens.add(max(0, min(own_ns, int(patience_ns(signs)))), now)
        liveness.prefill_ns = 0.0
    if beat.silent:
        liveness.prefill_ns = max(liveness.prefill_ns, signs.step_ns)


def should_ask(tracked: Tracked, beat: Beat, now: int) -> bool:
    """Whether an endpoint should be asked at once if it lives.

    Because two of its reports are missing, or because no stream of it goes on for longer than any
    silence that it has survived of late: sooner than anything is given up for it.
    """
    liveness = tracked.liveness
    if liveness.is_silent(now):
        return True
    usual_ns = liveness.tokens.value_at(now) + _ROUND_TRIPS * tracked.round_trip.mean_ns
    return beat.begun and bool(beat.silent) and beat.quiet_ns > usual_ns


def signs_of(tracked: Tracked, quiet_ns: int, now: int) -> Signs:
    """What the silence of a stream at an endpoint is held against."""
    report, slots = tracked.occupancy.report, tracked.occupancy.slots
    beside = tracked.standing_at(now)[0]
    itl_ns = tracked.decode.itl_ns(min(beside, slots) if slots else beside)
    liveness = tracked.liveness
    return Signs(
        itl_ns=max(itl_ns, float(report.itl_ns)) if report is not None else itl_ns,
        longest_ns=liveness.tokens.value_at(now),
        step_ns=min(tracked.tokens_ahead, _STEP_TOKENS_MAX) * tracked.ttft.token_ns,
        rtt_ns=tracked.round_trip.expected_ns,
        quiet_ns=quiet_ns,
        connected=tracked.connected,
        reports=liveness.has_reported and not liveness.is_silent(now),
        waiting=report is not None and report.waiting > 0,
        routes=tracked.gateway is not None,
    )


def _is_overdue(flight: Flight, waited_ns: int, signs: Signs, now: int) -> bool:
    """Whether a first token is given up. The promise holds for as long as anybody is there."""
    if not signs.connected:
        return is_stalled(waited_ns, signs)
    promised_ns = flight.due_ns - flight.sent_ns
    late_ns = now - flight.due_ns - promised_ns
    quiet = signs.quiet_ns >= waited_ns
    patiences = _PATIENCES * (_ROUTES if signs.routes and signs.reports else 1.0)
    return quiet and late_ns > patiences * patience_ns(signs)
