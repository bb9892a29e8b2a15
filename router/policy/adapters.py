"""The LoRA adapters of one endpoint: which it has, which are loaded, what one more would take.

An adapter that an endpoint has but has not loaded is read when its first request comes, and that
request waits for it, as do those for it that follow at once. So the time that takes is a part of
the time to their first token: where nothing else differs an adapter is used where it is loaded, and
an endpoint loads it as well once the queue in front of those that have it costs more. That is all
there is to spreading by demand; no adapter is ever moved by a plan.

Engines forget the least recently used adapter where there is no place for another. Whoever needs
that one next will wait for it in turn: where all places are taken, loading counts twice when
endpoints are compared, as the work of a prefill does, which delays what comes behind it.

An engine computes few adapters together. A request for one more waits in the engine until the last
stream of one of the others ends, which is soonest where the fewest streams are.

What this router sends is loaded before any report says so: it is believed to be there when its time
is over, and until a report has had time to deny it. Rejected: to have a router load and unload
adapters by name. Two routers would undo each other's work, and an engine does it by itself.
"""

from dataclasses import dataclass

from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.units import NS_PER_MS, NS_PER_S

LOAD_NS = 500 * NS_PER_MS
"""What loading is taken to take before an endpoint has timed one: a few hundred MB from a disk."""

_TOLD_WITHIN_NS = 2 * NS_PER_S  # of its end, a report would say that an adapter is loaded
_OWN_MAX = 256  # loads of this router's doing that are remembered; more than any engine holds

NO_ADAPTER = "without the adapter"
ADAPTER_UNHEARD = "not heard to have the adapter"


@dataclass(frozen=True, slots=True)
class AdapterLoad:
    """What an endpoint says of the adapters that it uses."""

    loaded: tuple[str, ...] = ()
    loaded_max: int = 0  # that it can hold; 0: unknown
    running: tuple[tuple[str, int], ...] = ()  # requests in the engine by their adapter
    running_max: int = 0  # adapters that are computed together; 0: unknown
    load_ns: int = 0  # that loading one took lately; 0: unknown


class AdapterShelf:
    """The adapters of one endpoint as this router knows them."""

    __slots__ = ("_loaded", "_names", "_own", "_said")

    def __init__(self, identity: EngineIdentity) -> None:
        self._names: frozenset[str] | None = None
        self._said: AdapterLoad | None = None
        self._loaded: frozenset[str] = frozenset()
        self._own: dict[str, int] = {}  # when those that this router has it load are there
        self.learn(identity)

    def learn(self, identity: EngineIdentity) -> None:
        """The endpoint has these; UNKNOWN: it has not said."""
        self._names = None if identity == UNKNOWN else frozenset(n for n, _ in identity.adapters)

    def hear(self, said: AdapterLoad | None, now: int, *, restarted: bool = False) -> None:
        """A report came; None where the endpoint says nothing of adapters."""
        self._said = said
        self._loaded = frozenset(said.loaded) if said is not None else frozenset()
        if restarted:
            self._own.clear()
        for name, there_ns in list(self._own.items()):
            if name in self._loaded or now > there_ns + _TOLD_WITHIN_NS:
                del self._own[name]

    def why_not(self, name: str) -> str:
        """Why a request for this adapter cannot go there; empty where it can."""
        if self._names is None:
            return ADAPTER_UNHEARD
        return "" if name in self._names else NO_ADAPTER

    def holds(self, name: str) -> bool:
        """Whether it is loaded, or is about to be."""
        return name in self._loaded or name in self._own

    @property
    def is_full(self) -> bool:
        """Whether another one takes the place of one that is loaded."""
        said = self._said
        if said is None or not said.loaded_max:
            return False
        return len(self._loaded) + len(self._own.keys() - self._loaded) >= said.loaded_max

    def load_ns(self, name: str, now: int) -> int:
        """Until it is loaded, if it were sent a request for it; 0 where nothing is known."""
        said = self._said
        if said is None or name in self._loaded:
            return 0
        there_ns = self._own.get(name)
        if there_ns is not None and now <= there_ns + _TOLD_WITHIN_NS:
            return max(0, there_ns - now)
        return said.load_ns or LOAD_NS

    def streams_before(self, name: str) -> int:
        """Whose ends it waits for, as too many adapters are computed there already; 0: it can go.

        They are the streams of the adapter that has the fewest.
        """
        said = self._said
        if said is None or not said.running_max or len(said.running) < said.running_max:
            return 0
        fewest = 0
        for other, streams in said.running:
            if other == name:
                return 0
            if not fewest or streams < fewest:
                fewest = streams
        return fewest

    def on_send(self, name: str, load_ns: int, now: int) -> None:
        """A request for it is sent there, and has it loaded if it is not."""
        if load_ns and name not in self._own:
            while len(self._own) >= _OWN_MAX:
                del self._own[next(iter(self._own))]
            self._own[name] = now + load_ns
