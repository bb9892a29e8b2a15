"""Does to the stations of a storm what its strikes say, and undoes it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from router.policy.load import LoadReport
from router.policy.outcome import End
from router.policy.units import NS_PER_MS
from router.sim.storm.clock import JumpingClock
from router.sim.storm.plan import Ask, Kind, Storm, Strike
from router.sim.storm.router import StormRouter
from router.sim.storm.station import Engine

_RESTART_NS = 3_000 * NS_PER_MS
_LATE_NS = 3_000 * NS_PER_MS


class Weather:
    """The engines of a storm, and what befalls them."""

    def __init__(self, storm: Storm, clock: JumpingClock, router: StormRouter) -> None:
        self._storm = storm
        self._clock = clock
        self._router = router
        self._lies: dict[str, Kind] = {}
        self._frozen: dict[str, LoadReport] = {}
        self.poisoned: Counter[str] = Counter()  # crashes by the prompt that made them
        self.engines = {
            station.name: Engine(
                station, storm.link_ns[station.site], clock, router.hear, self._poisoned
            )
            for station in storm.stations
        }
        for strike in storm.strikes:
            clock.at(strike.at_ns, self._strike, strike)
            if strike.kind is not Kind.SUSPENDED:
                clock.at(strike.until_ns, self._heal, strike)

    def report(self) -> None:
        """Every engine that can says how it is."""
        for engine in self.engines.values():
            if not engine.alive or engine.hangs:
                continue
            lie = self._lies.get(engine.name)
            report = engine.report()
            if lie is Kind.FROZEN:
                frozen = self._frozen.setdefault(engine.name, report)
                report = replace(frozen, sequence=report.sequence)
            elif lie is Kind.EMPTY:
                report = replace(report, running=0, waiting=0)
            if lie is Kind.LATE:
                self._clock.at(self._clock.now + _LATE_NS, self._hear, report)
            elif not engine.is_half_open:
                engine.carry(self._hear, report)
                if lie is Kind.TWICE:
                    engine.carry(self._hear, replace(report, sequence=report.sequence - 1))
                    engine.carry(self._hear, report)

    def _hear(self, report: LoadReport) -> None:
        self._router.core.on_load(report, self._clock.now)

    def _strike(self, strike: Strike) -> None:
        if strike.kind is Kind.SUSPENDED:
            self._clock.jump(strike.until_ns - strike.at_ns)
        elif strike.kind is Kind.DRAINED:
            self._router.drain(strike.target, draining=True)
        elif strike.kind is Kind.RELOADED:
            self._router.reload(self._storm.changed(strike))
        else:
            for engine in self._hit(strike):
                self._hurt(strike.kind, engine)

    def _heal(self, strike: Strike) -> None:
        if strike.kind is Kind.DRAINED:
            self._router.drain(strike.target, draining=False)
        elif strike.kind is Kind.RELOADED:
            self._router.reload(self._storm.fleet)
        else:
            for engine in self._hit(strike):
                self._mend(strike.kind, engine)

    def _hit(self, strike: Strike) -> Iterable[Engine]:
        return [
            engine
            for engine in self.engines.values()
            if strike.target in {engine.name, engine.station.site}
        ]

    def _hurt(self, kind: Kind, engine: Engine) -> None:
        match kind:
            case Kind.KILLED | Kind.SITE_KILLED:
                engine.die()
                self._break(engine)
            case Kind.RESET:
                engine.lose_connection()
                self._break(engine)
            case Kind.HALF_OPEN:
                engine.lose_connection()
                engine.is_half_open = True
            case Kind.HANGS:
                engine.hangs = engine.alive
            case Kind.BLACK_HOLE:
                engine.hold()
            case Kind.SLOW:
                engine.slow = True
            case Kind.FAILS:
                engine.answer = End.FAILED
            case Kind.FULL:
                engine.answer = End.OVERLOADED
            case Kind.LEAVES:
                self._router.unlist(engine.name)
            case _:
                self._lies[engine.name] = kind

    def _mend(self, kind: Kind, engine: Engine) -> None:
        match kind:
            case Kind.KILLED | Kind.SITE_KILLED:
                engine.alive = True
            case Kind.HANGS:
                engine.go_on()
            case Kind.BLACK_HOLE:
                engine.let_go()
            case Kind.SLOW:
                engine.slow = False
            case Kind.FAILS | Kind.FULL:
                engine.answer = None
            case Kind.LEAVES:
                self._router.list_endpoint(engine)
            case Kind.FROZEN | Kind.EMPTY | Kind.LATE | Kind.TWICE:
                self._lies.pop(engine.name, None)
                self._frozen.pop(engine.name, None)
            case _:
                pass  # over as soon as it began, or found out by probes

    def _poisoned(self, engine: Engine, ask: Ask) -> None:
        """A request killed the engine that served it; it is started again."""
        self.poisoned[ask.prompt] += 1
        self._hurt(Kind.KILLED, engine)
        self._clock.at(self._clock.now + _RESTART_NS, self._mend, Kind.KILLED, engine)

    def _break(self, engine: Engine) -> None:
        """Both sides know at once that the connection is gone, but for the way there."""
        heard_ns = self._clock.now + engine.way_ns
        self._clock.at(heard_ns, self._router.lose, engine.name, engine.epoch)
