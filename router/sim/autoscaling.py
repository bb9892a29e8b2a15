"""Sites of a simulated world that grow and shrink: replicas that start, serve, drain and go.

A replica that is asked for serves after its site's time to start, with a cold cache. One that is
given back says in its reports that it drains, as a live one does; it goes when its last answer has
ended. It is paid for from when it was asked for until it has gone, by whatever the site bills.
Who decides how many there are is told what it may know, and is asked again and again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from router.policy.units import NS_PER_S
from router.sim.clock import Clock
from router.sim.policy import Policy
from router.sim.replica import Replica


@dataclass(frozen=True, slots=True)
class Seen:
    """What an autoscaler is shown of the world."""

    now: int
    serving: Mapping[str, int]  # replicas by site
    ongoing: int  # requests that are somewhere, those that wait in routers included


class Decides(Protocol):
    """An autoscaler."""

    def __call__(self, seen: Seen, /) -> Mapping[str, int]:
        """How many replicas each site should have; one that is left out stays as it is."""
        ...


@dataclass(frozen=True, slots=True)
class Autoscale:
    """What scales in a world, in its own time."""

    decide: Decides
    start_ns: Mapping[str, int]  # by site that scales
    initial: Mapping[str, int]
    billing_ns: Mapping[str, int] = field(default_factory=dict)
    interval_ns: int = NS_PER_S


@dataclass(frozen=True, slots=True)
class Life:
    """One replica from when it was asked for until it was gone."""

    replica: str
    site: str
    asked_ns: int
    gone_ns: int


class _State(Enum):
    OFF = "off"
    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Autoscaling:
    """Carries out on a world's replicas what an autoscaler wants."""

    def __init__(
        self,
        plan: Autoscale,
        clock: Clock,
        replicas: Mapping[str, Replica],
        policies: Sequence[Policy],
        *,
        list_one: Callable[[Replica], None],
        report: Callable[[Replica], None],
        ongoing: Callable[[], Counter[str]],
        busy: Callable[[], bool],
    ) -> None:
        self._plan, self._clock = plan, clock
        self._replicas, self._policies = replicas, policies
        self._list, self._report = list_one, report
        self._ongoing, self._busy = ongoing, busy
        self._states: dict[str, _State] = {}
        self._asked_ns: dict[str, int] = {}
        self.lives: list[Life] = []
        self.samples: list[tuple[int, dict[str, int]]] = []  # replicas that are paid, over time

    def begin(self) -> None:
        """Set the world's first replicas, and the first look."""
        for site in self._plan.start_ns:
            for index, replica in enumerate(self._of(site)):
                serves = index < self._plan.initial.get(site, 0)
                self._states[replica.name] = _State.SERVING if serves else _State.OFF
                replica.alive = serves
                if serves:
                    self._asked_ns[replica.name] = self._clock.now
        self._clock.at(self._clock.now + self._plan.interval_ns, self._look)

    def end(self) -> None:
        """The world is over: what is still there is paid until now."""
        for name in sorted(self._asked_ns):
            self._leave(self._replicas[name])

    def _look(self) -> None:
        ongoing = self._ongoing()
        for name, state in self._states.items():
            if state is _State.DRAINING and not ongoing[name]:
                self._go(self._replicas[name])
        serving = {
            site: sum(self._states[one.name] is _State.SERVING for one in self._of(site))
            for site in self._plan.start_ns
        }
        wants = self._plan.decide(Seen(self._clock.now, serving, ongoing.total()))
        for site, wanted in wants.items():
            self._want(site, wanted)
        paid = Counter(self._replicas[name].site for name in self._asked_ns)
        self.samples.append((self._clock.now, dict(paid)))
        if self._busy():
            self._clock.at(self._clock.now + self._plan.interval_ns, self._look)

    def _want(self, site: str, wanted: int) -> None:
        there = [
            one
            for one in self._of(site)
            if self._states[one.name] in {_State.SERVING, _State.STARTING}
        ]
        off = [one for one in self._of(site) if self._states[one.name] is _State.OFF]
        for replica in off[: max(0, wanted - len(there))]:
            self._states[replica.name] = _State.STARTING
            self._asked_ns[replica.name] = self._clock.now
            at_ns = self._clock.now + self._plan.start_ns[site]
            self._clock.at(at_ns, self._serve, replica)
        spare = sorted(there, key=self._keeps_ns)
        for replica in spare[: max(0, len(there) - wanted)]:
            self._drain(replica)

    def _serve(self, replica: Replica) -> None:
        if self._states[replica.name] is not _State.STARTING:
            return  # given back before it was there
        replica.crash()  # whatever it held when it was here before
        replica.alive, replica.draining = True, False
        self._states[replica.name] = _State.SERVING
        self._list(replica)
        self._report(replica)

    def _drain(self, replica: Replica) -> None:
        if self._states[replica.name] is _State.STARTING:
            self._states[replica.name] = _State.OFF
            self._leave(replica)
            return
        self._states[replica.name] = _State.DRAINING
        replica.draining = True
        self._report(replica)

    def _go(self, replica: Replica) -> None:
        replica.crash()
        self._states[replica.name] = _State.OFF
        for policy in self._policies:
            policy.on_endpoint_gone(replica.name, self._clock.now)
        self._leave(replica)

    def _leave(self, replica: Replica) -> None:
        asked_ns = self._asked_ns.pop(replica.name)
        self.lives.append(Life(replica.name, replica.site, asked_ns, self._clock.now))

    def _keeps_ns(self, replica: Replica) -> tuple[int, str]:
        """Which goes first: whose paid time ends the soonest."""
        billing_ns = self._plan.billing_ns.get(replica.site, 1)
        begun_ns = self._asked_ns[replica.name]
        return (-(self._clock.now - begun_ns) % billing_ns, replica.name)

    def _of(self, site: str) -> list[Replica]:
        return [replica for replica in self._replicas.values() if replica.site == site]
