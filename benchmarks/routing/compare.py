"""Run policies in scenarios, each pair in a process of its own, with the same seed."""

import itertools
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

from benchmarks.routing.bound import BOUND, bound_of
from benchmarks.routing.measures import Measures, Summary
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.series import Series, series
from benchmarks.routing.setup import Options
from router.sim.rivals.registry import POLICIES
from router.sim.rivals.rival import Rival
from router.sim.world import World

QUICK_SESSIONS = 200


@dataclass(frozen=True, slots=True)
class Result:
    """One policy in one scenario; of the bound only turns and attainment are known."""

    scenario: str
    policy: str
    summary: Summary
    series: Series
    cpu_s: float


def run_one(scenario: str, policy: str, options: Options) -> Result:
    """Run a policy in a scenario, to the end of the load, or work out the scenario's bound."""
    began = time.process_time()
    setup = SCENARIOS[scenario](options)
    sessions = setup.sessions()
    if options.quick:
        sessions = itertools.islice(sessions, QUICK_SESSIONS)
    measures = Measures(setup.fleet)
    if policy == BOUND:
        turns, kept = bound_of(setup, sessions)
        bound = replace(measures.summary(), turns=turns, attainment=kept / max(1, turns))
        return Result(scenario, policy, bound, series(measures), time.process_time() - began)
    policies = [POLICIES[policy](setup.fleet) for _ in range(setup.routers)]
    world = setup.world
    if isinstance(policies[0], Rival):
        world = replace(world, report_interval_ns=policies[0].report_interval_ns)
    World(world, setup.replicas, policies, measures.add).run(sessions)
    summary, over_time = measures.summary(), series(measures)
    return Result(scenario, policy, summary, over_time, time.process_time() - began)


def run_all(
    scenarios: Sequence[str], policies: Sequence[str], options: Options, processes: int
) -> Iterator[Result]:
    """Run every policy in every scenario; results come as they are ready."""
    if processes == 1:
        for scenario in scenarios:
            for policy in policies:
                yield run_one(scenario, policy, options)
        return
    # Fresh interpreters: a fork would share what a run before it has left in memory.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [
            pool.submit(run_one, scenario, policy, options)
            for scenario in scenarios
            for policy in policies
        ]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
