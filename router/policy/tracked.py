"""Everything the core knows of one endpoint: its state is here, its estimates are in parts."""

from router.policy.adapters import AdapterShelf
from router.policy.breaker import Breaker
from router.policy.decode_speed import DecodeSpeed
from router.policy.echo import Echo
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits
from router.policy.flight import Flight
from router.policy.gap_limits import GapLimits
from router.policy.gateway import Gateway
from router.policy.liveness import Liveness
from router.policy.load import LoadReport
from router.policy.occupancy import Occupancy
from router.policy.outcome import FAILURES, End, Ended
from router.policy.peaks import Peaks
from router.policy.predictor import Ahead, TtftPredictor
from router.policy.prefix import PrefixIndex
from router.policy.prior import Prior
from router.policy.round_trip import RoundTrip
from router.policy.site_state import SiteState
from router.policy.slots import LIKELY_TAKEN, slot_wait_ns
from router.policy.units import NS_PER_MS, NS_PER_S

RESTING = "failing, and left alone for a while"
FULL = "full, and left alone for a moment"
TOO_LONG = "shorter in context than the prompt"
BEING_PROBED = "being probed by one request"

_SILENCE_PENALTY = 0.25  # an endpoint that reports no more is believed this much slower

_EVER = 1 << 62
_USUAL_GAIN = 1 / 16
_AT_ONCE_NS = 50 * NS_PER_MS
_TYPICAL_PROMPT = 500  # tokens of a request of which nothing is known
_TYPICAL_OUTPUT = 100
_MAYBE_LATE = frozenset({End.CANCELLED, End.TIMED_OUT})


class Tracked:
    """One endpoint, its own requests in flight, and what was learned of it."""

    __slots__ = (
        "_tail_due_ns",
        "_usual_tokens",
        "_was_connected",
        "adapters",
        "breaker",
        "busyness",
        "connected",
        "decode",
        "doubt_max_ns",
        "doubt_per_ns",
        "echo",
        "endpoint",
        "expected_tokens",
        "fresh_until_ns",
        "full_pause_ns",
        "gap_limits",
        "gateway",
        "gone",
        "has_spare",
        "heard_tokens",
        "in_flight",
        "is_clear",
        "last_first_ns",
        "liveness",
        "lost_silently",
        "name",
        "occupancy",
        "peaks",
        "pending",
        "prefix",
        "reserved",
        "round_trip",
        "running",
        "site",
        "tokens_ahead",
        "ttft",
        "working",
    )

    def __init__(
        self,
        endpoint: Endpoint,
        site: SiteState,
        limits: Limits,
        confidences: tuple[float, ...],
        prior: Prior,
    ) -> None:
        self.name = endpoint.name
        self.endpoint = endpoint
        self.site = site
        self.connected = True
        self.lost_silently = False  # no answer, where others are refused or reset
        self._was_connected = False
        self._tail_due_ns = 0
        self.full_pause_ns = limits.retry_after_min_ns
        self.gone = False
        self.breaker = Breaker(limits)
        self.round_trip = RoundTrip(prior.rtt_ns)
        self.occupancy = Occupancy(limits)
        self.ttft = TtftPredictor(confidences, prior.costs)
        self.decode = DecodeSpeed(prior.itl_base_ns, prior.itl_stream_ns)
        found = site.gap_limits.setdefault(endpoint.model, {})
        self.gap_limits = GapLimits(limits.endpoint_itl_share, found)
        self.prefix = PrefixIndex(limits.prefix_blocks_max, limits.session_age_max_ns)
        self.adapters = AdapterShelf(endpoint.identity)
        self.liveness = Liveness()
        self.echo = Echo()
        self.gateway: Gateway | None = None  # what it last said, if it is a router
        self.heard_tokens = 0.0  # of `tokens_ahead`, what it knew of then
        self.is_clear = True  # nothing speaks against sending to it
        self.in_flight = 0
        self.working = 0  # engines there, as far as it is this router's requests,
        self.has_spare = True  # and whether any is left that would begin to work
        self.pending: dict[str, Flight] = {}  # without a first token, in the order of sending
        self.reserved: dict[str, Flight] = {}  # placed, and not known to have begun
        self.tokens_ahead = 0.0  # prompt tokens to be prefilled, own and reported
        self.fresh_until_ns = _EVER  # without any report, own counts are all there is to know
        self.running: dict[str, Flight] = {}  # with one, in the order of their first tokens
        self.expected_tokens = 0.0  # of output, over all in flight
        self.peaks = Peaks()  # of the streams there, at first tokens
        self.last_first_ns = 0
        self._usual_tokens = float(_TYPICAL_PROMPT)  # uncached, of a request that is sent here
        self.doubt_per_ns = 0.0
        self.doubt_max_ns = 0.0
        self.busyness = 0.0  # requests here, own and reported

    def standing_at(self, now: int) -> tuple[float, float, float]:
        """What is at the endpoint: requests, prompt tokens to be prefilled, and a penalty factor.

        All as far as can be known. The factor is 1 while reports come, more when they have stopped.
        """
        if now <= self.fresh_until_ns:
            streams = self.busyness + self.echo.streams
            tokens, silence = self.tokens_ahead + self.echo.tokens, 1.0
        else:
            streams, tokens, silence = self._faded_at(now)
        if self.occupancy.others_tokens > 0.0:
            tokens -= self._drained_at(now)
        return streams, tokens, silence

    def _drained_at(self, now: int) -> float:
        """Others' tokens of the last report, prefilled since: a queue goes down alike."""
        others = self.occupancy.others_tokens
        queue_ns = self.ttft.token_ns * (self.heard_tokens + 1.0)
        age_ns = now - self.occupancy.heard_ns
        return self.occupancy.weight_at(now) * others * min(1.0, age_ns / queue_ns)

    def _faded_at(self, now: int) -> tuple[float, float, float]:
        """The same once the last report is no longer fresh."""
        seen = self.occupancy
        own_tokens = self.tokens_ahead - seen.others_tokens
        weight = seen.weight_at(now)
        others = weight * (seen.others + self.echo.streams) + (1.0 - weight) * seen.mean
        return (
            self.in_flight + others,
            own_tokens + weight * (seen.others_tokens + self.echo.tokens),
            1.0 + _SILENCE_PENALTY * seen.silence_at(now),
        )

    def ahead_at(self, expected_tokens: float, uncached_tokens: int, now: int) -> Ahead:
        """What a request sent now would have before it; it expects so many tokens of output."""
        streams, tokens, _ = self.standing_at(now)
        slots, wait_ns = self.occupancy.slots, 0.0
        if slots and streams + LIKELY_TAKEN > slots:
            wait_ns = self.slot_wait_ns(streams, expected_tokens, now)
        if self.gateway is not None:
            return self.ahead_below(self.gateway, Ahead(tokens, wait_ns), uncached_tokens, now)
        return Ahead(tokens, wait_ns)

    def ahead_below(self, gateway: Gateway, ahead: Ahead, uncached_tokens: int, now: int) -> Ahead:
        """The same where the endpoint is a router; see router.policy.gateway.

        Its engines prefill side by side what one would prefill in a row.
        """
        engines = max(1, gateway.endpoints_up)
        known_ns = self.ttft.middle_ns(Ahead(self.heard_tokens / engines, 0.0), uncached_tokens)
        beyond_ns = max(0.0, gateway.forecast_ns(uncached_tokens) - known_ns)
        wait_ns = max(ahead.slot_wait_ns, self.occupancy.weight_at(now) * beyond_ns)
        return Ahead(ahead.tokens / engines, wait_ns)

    def slot_wait_ns(self, streams: float, expected_tokens: float, now: int) -> float:
        """How long one more request waits for a slot beside so many that leave it none."""
        slots = self.occupancy.slots
        hold_ns = self.hold_ns(expected_tokens)
        oldest_ns, newest_ns = hold_ns - hold_ns / slots, 0.0
        if 2 * len(self.running) >= slots:
            oldest_ns = float(now - next(iter(self.running.values())).first_ns)
            newest_ns = float(now - self.last_first_ns)
        return slot_wait_ns(streams - slots + 1.0, slots, hold_ns, oldest_ns, newest_ns)

    def hold_ns(self, expected_tokens: float) -> float:
        """How long a request holds a slot once all are taken."""
        if self.in_flight:
            expected_tokens = self.expected_tokens / self.in_flight
        return expected_tokens * self.decode.itl_ns(self.occupancy.slots)

    def overdue_ns(self, now: int) -> int:
        """How long first tokens have failed to come, beyond what was promised.

        Counted from the oldest promise that is not kept, or from the last first token since: while
        they keep coming, one that does not is that request's trouble and not the endpoint's.
        """
        if not self.pending:
            return 0
        oldest = next(iter(self.pending.values()))
        return max(0, now - max(oldest.due_ns, self.last_first_ns))

    def hear(self, report: LoadReport, now: int) -> None:
        """Take in a load report."""
        self.liveness.on_report(now)
        # What was sent within the last round trip had not arrived when the report was made.
        since = now - self.round_trip.mean_ns
        unseen = unseen_tokens = 0
        for flight in reversed(self.pending.values()):
            if flight.sent_ns < since:
                break
            unseen += 1
            unseen_tokens += flight.uncached_tokens
        for flight in self.reserved.values():
            unseen += 1
            unseen_tokens += flight.uncached_tokens
        last = self.occupancy.report
        others_tokens = self.occupancy.others_tokens
        own_tokens = self.tokens_ahead - others_tokens - unseen_tokens
        own = self.in_flight - unseen
        if not self.occupancy.hear(report, own, own_tokens, now):
            return
        self.echo.on_report(own, self.occupancy.others)
        restarted = last is not None and last.instance != report.instance
        if restarted or report.prefix_reset:
            self.prefix.clear()
        self.prefix.add(report.prefix_added, now)
        self.prefix.remove(report.prefix_removed)
        self.adapters.hear(report.adapters, now, restarted=restarted)
        self.gateway = report.gateway
        self.heard_tokens = own_tokens + self.occupancy.others_tokens
        self.busyness = float(self.in_flight + self.occupancy.others)
        self.tokens_ahead = self.tokens_ahead - others_tokens + self.occupancy.others_tokens
        self.fresh_until_ns = now + self.occupancy.fresh_ns
        self.settle()
        self._doubt()
        if report.itl_ns and report.running:
            self.decode.hear(report.itl_ns, report.running)
            # Of the last second: what is told sooner repeats what was heard.
            if report.itl_ns_p95 and now >= self._tail_due_ns:
                self._tail_due_ns = now + NS_PER_S
                self.gap_limits.hear(report.running, report.itl_ns_p95)

    def _doubt(self) -> None:
        """Set by how much, for each nanosecond of a report's age, the queue may be off.

        That many requests others may have sent, or seen end, and each is a prompt to be prefilled
        and, where slots are taken, a share of the time for which one holds a slot.
        """
        seen = self.occupancy
        each_ns = self.ttft.token_ns * self._usual_tokens
        if seen.slots and self.busyness + 1 >= seen.slots:
            each_ns += self.hold_ns(_TYPICAL_OUTPUT) / seen.slots
        self.doubt_per_ns = seen.change_per_ns * each_ns
        self.doubt_max_ns = (seen.others + seen.mean + 1.0) * each_ns

    def on_send(self, flight: Flight, request_id: str) -> None:
        """An attempt is sent."""
        self.in_flight += 1
        self.busyness += 1
        self.echo.on_send(flight.uncached_tokens)
        _ = self.gap_limits[flight.slo_class.itl_ns]  # from here on reports teach it
        if flight.request.adapter:
            self.adapters.on_send(flight.request.adapter, flight.load_ns, flight.sent_ns)
        self.expected_tokens += flight.expected_tokens
        self._usual_tokens += _USUAL_GAIN * (flight.uncached_tokens - self._usual_tokens)
        if flight.request.streams:
            waiting = self.reserved if flight.request.direct else self.pending
            waiting[request_id] = flight
            self.tokens_ahead += flight.uncached_tokens
        else:  # nobody will tell when it starts, so it is taken to start as promised
            flight.first_ns = flight.due_ns
            self.running[request_id] = flight

    def on_started(self, flight: Flight, request_id: str, started_ns: int, now: int) -> None:
        """What was placed has begun, so long ago as the endpoint says: its promise counts from now.

        Where its client took its time, what it found is not what was there when it was placed.
        """
        if self.reserved.pop(request_id, None) is None:
            return
        promised_ns = flight.due_ns - flight.sent_ns
        if started_ns - flight.sent_ns > _AT_ONCE_NS:
            flight.ahead = self.ahead_at(flight.expected_tokens, flight.uncached_tokens, now)
        flight.sent_ns = max(flight.sent_ns, started_ns)
        flight.due_ns = flight.sent_ns + promised_ns
        self.pending[request_id] = flight

    def work(self) -> int:
        """How many more engines work here for this router than when this was last asked.

        Requests are spread: behind a router each has an engine of its own while there is one.
        """
        engines = 1 if self.gateway is None else max(1, self.gateway.endpoints_up)
        working = min(self.in_flight, engines)
        change, self.working = working - self.working, working
        self.has_spare = working < engines
        return change

    def on_first_token(self, flight: Flight, request_id: str, now: int) -> None:
        """An attempt's first message came; its `ttft_ns` is set."""
        if self.pending.pop(request_id, None) is None:
            return  # told twice, or of an answer that comes whole
        self.tokens_ahead -= flight.uncached_tokens
        flight.first_ns = now
        flight.streams = self.standing_at(now)[0]
        self.peaks.add(flight.streams, now)
        self.running[request_id] = flight
        self.last_first_ns = now
        if not self.breaker.is_closed:
            self.breaker.on_first_token(now)
            self.settle()
        if not flight.load_ns:  # what loading takes says nothing of queues and prefills
            ttft_ns = max(0, flight.ttft_ns - flight.network_ns)
            self.ttft.add(flight.ahead, flight.uncached_tokens, ttft_ns, now)

    def on_end(self, flight: Flight, ended: Ended, now: int) -> None:
        """An attempt is over."""
        self.in_flight -= 1
        self.busyness -= 1
        if self.pending.pop(ended.request, None) is not None:
            self.tokens_ahead -= flight.uncached_tokens
            if ended.end in _MAYBE_LATE and not flight.load_ns:
                waited_ns = max(0, now - flight.sent_ns - flight.network_ns)
                self.ttft.add_late(flight.ahead, flight.uncached_tokens, waited_ns, now)
        elif self.reserved.pop(ended.request, None) is not None:
            self.tokens_ahead -= flight.uncached_tokens
        else:
            del self.running[ended.request]
            known = flight.request.streams and ended.duration_ns > 0
            if ended.end is End.OK and ended.output_tokens > 1 and known:
                gaps, slots = ended.output_tokens - 1, self.occupancy.slots
                gap_ns = max(0, ended.duration_ns - flight.ttft_ns) / gaps
                streams = (flight.streams + self.standing_at(now)[0]) / 2
                self.decode.add(gap_ns, min(streams, slots - 1) if slots else streams)
                if ended.slow_gaps is not None:
                    most = self.peaks.since(flight.first_ns)
                    limit = self.gap_limits[flight.slo_class.itl_ns]
                    limit.add(most, self.decode.itl_ns(most), ended.slow_gaps / gaps)
        self.expected_tokens -= flight.expected_tokens
        if not self.in_flight:
            self.expected_tokens = 0.0  # sums of floats drift
        self._tell_breaker(flight, ended, now)
        self.settle()

    def on_connection(self, connected: bool, now: int, *, silent: bool = False) -> None:
        """The connection was lost or made; only a connection that was made before can be lost."""
        if not connected:
            self.liveness.on_lost()
            self.site.warming.on_failure()
        elif self._was_connected and not self.connected and not self.lost_silently:
            self.breaker.on_reconnected(now)
        self._was_connected = self._was_connected or connected
        self.connected = connected
        self.lost_silently = silent and not connected
        self.settle()

    @property
    def is_draining(self) -> bool:
        """Whether it, or its site, takes no new turns."""
        report = self.occupancy.report
        return (
            self.site.draining
            or self.site.leaving
            or self.name in self.site.lent
            or (report is not None and report.draining)
        )

    def settle(self) -> None:
        """Note whether anything speaks against the endpoint; call it after whatever might."""
        report = self.occupancy.report
        self.is_clear = (
            self.connected
            and not self.gone
            and self.breaker.is_closed
            and (report is None or not report.draining)
            and self.name not in self.site.lent
            and (self.gateway is None or not self.gateway.excluded)
        )

    def _tell_breaker(self, flight: Flight, ended: Ended, now: int) -> None:
        ok: bool | None = None
        if ended.end is End.OK:
            ok = True
        elif ended.end in FAILURES or (ended.end is End.TIMED_OUT and not flight.first_ns):
            ok = False
        self.breaker.on_end(ok=ok, was_probe=flight.probe, now=now)
        if ended.end is End.OVERLOADED:
            self.breaker.pause(now, self.full_pause_ns)
