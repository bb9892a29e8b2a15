"""A simulated replica: an engine behind a link, and the reports it sends."""

from collections.abc import Callable

from router.policy.load import LoadReport
from router.sim.clock import Clock
from router.sim.engine import Engine
from router.sim.job import Job
from router.sim.plan import Scenario
from router.sim.profile import PS_PER_NS, EngineModel


class Replica:
    """One replica on the world's clock. Engine time is the clock's, in picoseconds."""

    def __init__(
        self,
        name: str,
        site: str,
        profile: EngineModel,
        clock: Clock,
        scenario: Scenario,
        on_first_token: Callable[["Replica", Job, int], None],
        on_finished: Callable[["Replica", Job, int], None],
        on_step: Callable[["Replica"], None] | None = None,
    ) -> None:
        """`on_step` is called at the end of a step, before the next, if the cache has changed."""
        self.name, self.site, self.profile = name, site, profile
        self.alive = True
        self.draining = False
        self._clock, self._scenario = clock, scenario
        self._on_first_token, self._on_finished = on_first_token, on_finished
        self._on_step = on_step
        self._restarts = 0
        self._sequence = 0
        self._itl_ns = self._itl_ns_p95 = 0  # since the last report, or the last that was known
        self._wakes_ns = -1
        self._engine = self._new_engine()

    def submit(self, job: Job) -> None:
        """A job arrives, now."""
        self._engine.submit(job, self._clock.now * PS_PER_NS)
        self._set_wake()

    def cancel(self, job: Job) -> None:
        """A job is abandoned, now."""
        self._engine.cancel(job, self._clock.now * PS_PER_NS)
        self._set_wake()

    def crash(self) -> None:
        """Everything in it is lost, its cache included."""
        self.alive = False
        self._restarts += 1
        self._engine = self._new_engine()

    def report(self) -> LoadReport:
        """What it says of itself, now."""
        engine = self._engine
        self._sequence += 1
        changes = engine.blocks.changes or {}
        if changes:
            engine.blocks.changes = {}
        if engine.gaps:
            self._itl_ns, self._itl_ns_p95 = _mean_and_p95_ns(engine.gaps)
            engine.gaps = {}
        return LoadReport(
            endpoint=self.name,
            instance=f"{self.name}#{self._restarts}",
            sequence=self._sequence,
            running=len(engine.running),
            waiting=engine.waiting,
            queued_prefill_tokens=engine.queued_prefill_tokens,
            kv_usage=engine.blocks.used / engine.blocks.capacity,
            running_max=self.profile.seqs_max,
            itl_ns=self._itl_ns,
            itl_ns_p95=self._itl_ns_p95,
            draining=self.draining,
            prefix_added=tuple(name for name, is_here in changes.items() if is_here),
            prefix_removed=tuple(name for name, is_here in changes.items() if not is_here),
        )

    def _new_engine(self) -> Engine:
        self._wakes_ns, self._itl_ns, self._itl_ns_p95 = -1, 0, 0
        engine = Engine(
            self.profile,
            on_first_token=lambda job: self._tell(self._on_first_token, job, job.first_token_ps),
            on_finished=lambda job: self._tell(self._on_finished, job, job.finished_ps),
            slow_gap_ps=self._scenario.slow_gap_ns * PS_PER_NS,
        )
        if self._scenario.report_interval_ns is not None or self._on_step is not None:
            engine.blocks.changes, engine.gaps = {}, {}
        return engine

    def _tell(self, callback: Callable[["Replica", Job, int], None], job: Job, at_ps: int) -> None:
        callback(self, job, -(-at_ps // PS_PER_NS))

    def _set_wake(self) -> None:
        next_ps = self._engine.next_ps
        if next_ps is not None:
            wakes_ns = -(-next_ps // PS_PER_NS)
            # A wake that is set for later than needed is superseded: see `_wake`.
            if wakes_ns != self._wakes_ns:
                self._wakes_ns = wakes_ns
                self._clock.last_at(wakes_ns, self._wake, wakes_ns, self._restarts)

    def _wake(self, wakes_ns: int, restarts: int) -> None:
        if wakes_ns == self._wakes_ns and restarts == self._restarts:
            self._wakes_ns = -1
            if self._on_step is not None and self._engine.blocks.changes:
                self._on_step(self)
            self._engine.advance(wakes_ns * PS_PER_NS)
            self._set_wake()


def _mean_and_p95_ns(gaps: dict[int, int]) -> tuple[int, int]:
    """Of gaps in picoseconds by how many there are of each, in nanoseconds."""
    count, total_ps = sum(gaps.values()), sum(gap * number for gap, number in gaps.items())
    longer = count // 20
    for gap_ps in sorted(gaps, reverse=True):
        longer -= gaps[gap_ps]
        if longer < 0:
            return total_ps // count // PS_PER_NS, gap_ps // PS_PER_NS
    raise ValueError("no gaps")
