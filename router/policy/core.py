"""The router's core: events and requests in, decisions out. It owns all routing state.

`RouterCore` performs no input or output and reads no clock: whoever drives it, in real time or in
virtual time, passes `now` (integer nanoseconds of any monotonic clock) and the source of
randomness. The same calls give the same decisions.
"""

import random
from dataclasses import dataclass, field

from router.policy.decision import Candidate, Decision, Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, SiteKind
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken, Outcome
from router.policy.request import Request
from router.policy.snapshot import EndpointSnapshot, FleetSnapshot, Health, SiteSnapshot

_RETRIABLE = frozenset({End.UNREACHABLE, End.FAILED, End.OVERLOADED})
_DEFAULT_TTFT_NS = 50_000_000


@dataclass(slots=True)
class _Tracked:
    endpoint: Endpoint
    connected: bool = True
    gone: bool = False
    in_flight: int = 0
    rtt_ns: int = 0
    report: LoadReport | None = None
    report_ns: int = 0
    ttft_ns: int = _DEFAULT_TTFT_NS


@dataclass(slots=True)
class _Flight:
    request: Request
    endpoint: str
    attempt: int
    tried: tuple[str, ...]


@dataclass(slots=True)
class _SiteCounts:
    draining: bool = False
    turns: int = 0
    output_tokens: int = 0
    failures: int = 0
    overflow_turns: int = 0


@dataclass(slots=True)
class _Totals:
    decided: int = 0
    refused: int = 0
    retried: int = 0


@dataclass(slots=True)
class _State:
    endpoints: dict[str, _Tracked] = field(default_factory=dict)
    flights: dict[str, _Flight] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    sites: dict[str, _SiteCounts] = field(default_factory=dict)
    totals: _Totals = field(default_factory=_Totals)


class RouterCore:
    """Decides where each request goes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._state = _State(sites={site.name: _SiteCounts() for site in fleet.sites})
        self._home = {site.name for site in fleet.sites if site.kind is SiteKind.HOME}

    def on_endpoint_up(self, endpoint: Endpoint, now: int) -> None:
        """An endpoint is listed. It counts as reachable until its connection says otherwise.

        Told again of an endpoint it knows, the core keeps what it learned. KeyError for a site
        that the fleet does not have.
        """
        _ = now
        _ = self._state.sites[endpoint.site]
        known = self._state.endpoints.get(endpoint.name)
        if known is None:
            self._state.endpoints[endpoint.name] = _Tracked(endpoint)
        else:
            known.endpoint = endpoint
            known.gone = False

    def on_endpoint_gone(self, name: str, now: int) -> None:
        """An endpoint is no longer listed: no new requests; its streams may still end."""
        _ = now
        known = self._state.endpoints.get(name)
        if known is None:
            return
        known.gone = True
        if not known.in_flight:
            del self._state.endpoints[name]

    def on_connection(self, endpoint: str, connected: bool, now: int) -> None:
        """The connection to an endpoint was lost or made."""
        _ = now
        known = self._state.endpoints.get(endpoint)
        if known is not None:
            known.connected = connected

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:
        """A round trip to an endpoint was measured."""
        _ = now
        known = self._state.endpoints.get(endpoint)
        if known is not None:
            known.rtt_ns = rtt_ns

    def on_load(self, report: LoadReport, now: int) -> None:
        """A load report was heard."""
        known = self._state.endpoints.get(report.endpoint)
        if known is not None:
            known.report = report
            known.report_ns = now

    def on_drain(self, site: str, draining: bool, now: int) -> None:
        """A site stops or resumes taking new turns. KeyError for an unknown site."""
        _ = now
        self._state.sites[site].draining = draining

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision:
        """Decide where a request goes; a `Send` counts as in flight at once.

        ValueError if the request's id is in flight already.
        """
        if request.id in self._state.flights:
            raise ValueError(f"request {request.id!r} is in flight already")
        self._state.totals.decided += 1
        return self._commit(request, self._decide(request, (), now, rng), ())

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | None:
        """Learn from an outcome; a failed attempt gets its next action.

        None for a first token, a final end, and for a request that is not in flight.
        """
        if isinstance(outcome, FirstToken):
            known = self._state.endpoints.get(outcome.endpoint)
            if known is not None:
                known.ttft_ns += (outcome.ttft_ns - known.ttft_ns) // 5
            return None
        return self._on_ended(outcome, now, rng)

    def explain(self, request: Request, now: int, rng: random.Random) -> Decision:
        """The decision that this request would get, without any effect."""
        return self._decide(request, (), now, rng)

    def on_tick(self, now: int) -> None:
        """Expire what has aged."""
        _ = now

    def snapshot(self, now: int) -> FleetSnapshot:
        """The state of the fleet as frozen values."""
        state = self._state
        sites = []
        for site in self._fleet.sites:
            tracked = [t for t in state.endpoints.values() if t.endpoint.site == site.name]
            counts = state.sites[site.name]
            names = {t.endpoint.name for t in tracked}
            sites.append(
                SiteSnapshot(
                    name=site.name,
                    kind=site.kind,
                    draining=counts.draining,
                    endpoints=tuple(_endpoint_snapshot(t, now) for t in tracked),
                    sessions=sum(1 for name in state.sessions.values() if name in names),
                    open_streams=sum(t.in_flight for t in tracked),
                    turns=counts.turns,
                    output_tokens=counts.output_tokens,
                    failures=counts.failures,
                    overflow_turns=counts.overflow_turns,
                    spend_usd=0.0,
                )
            )
        totals = state.totals
        return FleetSnapshot(
            sites=tuple(sites),
            sessions=len(state.sessions),
            open_streams=len(state.flights),
            decided=totals.decided,
            refused=totals.refused,
            retried=totals.retried,
        )

    def _on_ended(self, ended: Ended, now: int, rng: random.Random) -> Decision | None:
        flight = self._state.flights.get(ended.request)
        if flight is None or flight.endpoint != ended.endpoint:
            return None
        del self._state.flights[ended.request]
        tracked = self._state.endpoints[ended.endpoint]
        tracked.in_flight -= 1
        counts = self._state.sites[tracked.endpoint.site]
        counts.output_tokens += ended.output_tokens
        if tracked.gone and not tracked.in_flight:
            del self._state.endpoints[ended.endpoint]
        if ended.end not in _RETRIABLE:
            return None
        counts.failures += 1
        tried = (*flight.tried, ended.endpoint)
        if ended.messages or flight.attempt >= self._fleet.limits.attempts_max:
            return self._refuse(flight.request, Rule.NO_RETRY, f"failed at {ended.endpoint}", ())
        decision = self._decide(flight.request, tried, now, rng)
        if isinstance(decision, Send):
            self._state.totals.retried += 1
        return self._commit(flight.request, decision, tried)

    def _commit(self, request: Request, decision: Decision, tried: tuple[str, ...]) -> Decision:
        if isinstance(decision, Refuse):
            self._state.totals.refused += 1
            return decision
        tracked = self._state.endpoints[decision.endpoint]
        tracked.in_flight += 1
        counts = self._state.sites[decision.site]
        counts.turns += 1
        counts.overflow_turns += decision.rule is Rule.OVERFLOW
        self._state.flights[request.id] = _Flight(
            request, decision.endpoint, decision.attempt, tried
        )
        if request.session:
            self._state.sessions[request.session] = decision.endpoint
        return decision

    def _decide(
        self, request: Request, tried: tuple[str, ...], now: int, rng: random.Random
    ) -> Decision:
        try:
            slo = self._fleet.slo(request.slo)
        except KeyError:
            return self._refuse(request, Rule.UNKNOWN_SLO, f"no class {request.slo!r}", ())
        if request.deadline_ns is not None and request.deadline_ns <= now:
            return self._refuse(request, Rule.DEADLINE, "the deadline has passed", ())
        serving = [t for t in self._state.endpoints.values() if t.endpoint.serves(request.model)]
        if self._state.endpoints and not serving:
            return self._refuse(request, Rule.UNKNOWN_MODEL, f"no model {request.model!r}", ())
        objective_ns = slo.ttft_objective_ns(request.prompt_tokens)
        candidates = tuple(self._judge(t, tried, request, objective_ns, now) for t in serving)
        able = [candidate for candidate in candidates if not candidate.excluded]
        if slo.home_only:
            able = [candidate for candidate in able if candidate.site in self._home]
        if not able:
            return self._refuse(request, Rule.NO_ENDPOINT, "no endpoint is up", candidates)
        chosen, rule = self._choose(request, able, rng)
        return Send(
            request=request.id,
            endpoint=chosen.endpoint,
            site=chosen.site,
            rule=rule,
            reason=f"{chosen.endpoint}: first token in {chosen.ttft_ns / 1e6:.0f} ms",
            slo=slo.name,
            candidates=candidates,
            attempt=len(tried) + 1,
        )

    def _choose(
        self, request: Request, able: list[Candidate], rng: random.Random
    ) -> tuple[Candidate, Rule]:
        placement = self._state.sessions.get(request.session) if request.session else None
        meeting = [c for c in able if c.meets_objective and c.site in self._home]
        rule = Rule.HOME
        if not meeting:
            meeting, rule = [c for c in able if c.meets_objective], Rule.OVERFLOW
        if not meeting:
            meeting, rule = able, Rule.LEAST_BAD
        for candidate in meeting:
            if candidate.endpoint == placement:
                return candidate, Rule.STICKY
        least = min(c.ttft_ns for c in meeting)
        return rng.choice([c for c in meeting if c.ttft_ns <= least * 1.1]), rule

    def _judge(
        self, tracked: _Tracked, tried: tuple[str, ...], request: Request, objective: int, now: int
    ) -> Candidate:
        excluded = ""
        if tracked.endpoint.name in tried:
            excluded = "tried already"
        elif tracked.gone or not tracked.connected:
            excluded = "not connected"
        elif self._state.sites[tracked.endpoint.site].draining:
            excluded = "draining"
        queue_ns = tracked.ttft_ns * tracked.in_flight // 4
        ttft_ns = tracked.rtt_ns + queue_ns + tracked.ttft_ns
        return Candidate(
            endpoint=tracked.endpoint.name,
            site=tracked.endpoint.site,
            ttft_ns=ttft_ns,
            network_ns=tracked.rtt_ns,
            queue_ns=queue_ns,
            prefill_ns=tracked.ttft_ns,
            cached_tokens=0,
            uncached_tokens=request.prompt_tokens,
            price_usd=0.0,
            meets_objective=ttft_ns <= objective,
            report_age_ns=now - tracked.report_ns if tracked.report else None,
            excluded=excluded,
        )

    def _refuse(
        self, request: Request, rule: Rule, reason: str, candidates: tuple[Candidate, ...]
    ) -> Refuse:
        retry_after_ns = 0
        if rule in {Rule.NO_ENDPOINT, Rule.OVERLOAD}:
            retry_after_ns = self._fleet.limits.retry_after_min_ns
        return Refuse(request.id, rule, reason, request.slo, candidates, retry_after_ns)


def _endpoint_snapshot(tracked: _Tracked, now: int) -> EndpointSnapshot:
    report = tracked.report or LoadReport(tracked.endpoint.name, "", 0)
    return EndpointSnapshot(
        name=tracked.endpoint.name,
        site=tracked.endpoint.site,
        model=tracked.endpoint.model,
        instance=report.instance,
        health=Health.DOWN if tracked.gone or not tracked.connected else Health.UP,
        draining=report.draining,
        in_flight=tracked.in_flight,
        running=report.running,
        waiting=report.waiting,
        queued_prefill_tokens=report.queued_prefill_tokens,
        kv_usage=report.kv_usage,
        ttft_ns=report.ttft_ns,
        itl_ns=report.itl_ns,
        rtt_ns=tracked.rtt_ns,
        report_age_ns=now - tracked.report_ns if tracked.report else None,
    )
