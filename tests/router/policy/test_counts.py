"""P7: whatever happens, in whatever order, counts return to zero."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet

_NAMES = {"home-0": "home", "home-1": "home", "rented-0": "rented", "rented-1": "rented"}
_names = st.sampled_from(sorted(_NAMES))


class Fleet(RuleBasedStateMachine):
    """Requests, outcomes and churn in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.core = RouterCore(fleet())
        self.rng = random.Random(1)
        self.now = NS_PER_S
        self.open: dict[str, Send] = {}
        self.started: set[str] = set()
        self.count = 0
        self.sequence = 0

    @rule(milliseconds=st.integers(0, 5_000))
    def time_passes(self, milliseconds: int) -> None:
        self.now += milliseconds * NS_PER_MS
        self.core.on_tick(self.now)

    @rule(name=_names)
    def an_endpoint_comes(self, name: str) -> None:
        self.core.on_endpoint_up(Endpoint(name, _NAMES[name], MODEL), self.now)

    @rule(name=_names)
    def an_endpoint_goes(self, name: str) -> None:
        self.core.on_endpoint_gone(name, self.now)

    @rule(name=_names, connected=st.booleans())
    def a_connection_changes(self, name: str, connected: bool) -> None:
        self.core.on_connection(name, connected, self.now)

    @rule(site=st.sampled_from(["home", "rented"]), draining=st.booleans())
    def a_site_drains(self, site: str, draining: bool) -> None:
        self.core.on_drain(site, draining, self.now)

    @rule(
        name=_names, running=st.integers(0, 9), waiting=st.integers(0, 9), slots=st.integers(0, 9)
    )
    def a_report_comes(self, name: str, running: int, waiting: int, slots: int) -> None:
        self.sequence += 1
        report = LoadReport(
            name, "1", self.sequence, running, waiting, 50 * waiting, running_max=slots
        )
        self.core.on_load(report, self.now)

    @rule(session=st.sampled_from(["", "a", "b", "c"]), tokens=st.integers(0, 5_000))
    def a_request_comes(self, session: str, tokens: int) -> None:
        self.count += 1
        request = Request(
            str(self.count),
            MODEL,
            session=session,
            prompt_tokens=tokens,
            prefix=tuple(range(tokens // 16)),
        )
        self._follow(request.id, self.core.on_request(request, self.now, self.rng))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def a_first_token_comes(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        first = FirstToken(request, self.open[request].endpoint, 30 * NS_PER_MS)
        assert self.core.on_outcome(first, self.now, self.rng) is None
        self.started.add(request)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), end=st.sampled_from(End), late=st.booleans())
    def an_attempt_ends(self, data: st.DataObject, end: End, late: bool) -> None:
        request = data.draw(st.sampled_from(sorted(self.open)))
        self._end(request, end)
        if late:  # a second end of the same attempt is not counted twice
            gone = Ended(request, "home-0", End.OK)
            if request not in self.open:
                assert self.core.on_outcome(gone, self.now, self.rng) is None

    def _end(self, request: str, end: End) -> None:
        ended = Ended(
            request,
            self.open.pop(request).endpoint,
            end,
            output_tokens=20,
            messages=int(request in self.started),
            duration_ns=NS_PER_S,
        )
        self.started.discard(request)
        self._follow(request, self.core.on_outcome(ended, self.now, self.rng))

    def _follow(self, request: str, decision: object) -> None:
        if isinstance(decision, Send):
            self.open[request] = decision

    @invariant()
    def what_is_counted_is_what_is_open(self) -> None:
        state = self.core.snapshot(self.now)
        assert state.open_streams == len(self.open)
        assert sum(site.open_streams for site in state.sites) == len(self.open)
        for site in state.sites:
            for endpoint in site.endpoints:
                open_here = [s for s in self.open.values() if s.endpoint == endpoint.name]
                assert endpoint.in_flight == len(open_here)

    def teardown(self) -> None:
        for request in sorted(self.open):
            while request in self.open:
                self._end(request, End.CANCELLED)
        for tracked in self.core._registry.by_name.values():
            assert tracked.in_flight == 0
            assert tracked.busyness == tracked.occupancy.others
            assert tracked.tokens_ahead == tracked.occupancy.others_tokens
            assert tracked.expected_tokens == 0.0
            assert not tracked.pending
            assert not tracked.running
            assert not tracked.breaker._probing
        for site in self.core._registry.sites.values():
            assert site.spend._busy == 0
            assert abs(site.spend._reserved_usd) < 1e-9


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
