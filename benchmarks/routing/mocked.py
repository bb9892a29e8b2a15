"""Worlds of Dynamo's mocker workers, in which its published figures and its speed are compared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.mocker import Mocker
from router.sim.plan import Link, Scenario, SimSession
from router.sim.policy import Policy
from router.sim.record import TurnRecord
from router.sim.world import World

KV_TOKENS = 1_048_576  # of one worker
FLEET = Fleet(
    sites=(Site("home", SiteKind.HOME),),
    slo_classes=(SloClass("chat", NS_PER_S, 100 * NS_PER_MS, NS_PER_MS // 4),),
    default_slo="chat",
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a replay."""

    requests: int
    ttft_mean_ms: float
    ttft_p95_ms: float
    hit_share: float  # of prompt tokens, found cached


def replay(
    sessions: Iterable[SimSession],
    workers: int,
    block_tokens: int,
    policy: Policy,
    *,
    tells_steps: bool = False,
    seed: int = 0,
) -> list[TurnRecord]:
    """Run the requests on so many workers with no network between.

    `tells_steps` has the workers tell of their caches at the end of each step, and of nothing else.
    """
    records: list[TurnRecord] = []
    model = Mocker(kv_blocks=KV_TOKENS // block_tokens, block_tokens=block_tokens)
    replicas = [(f"home/{index}", "home", model) for index in range(workers)]
    scenario = Scenario({"home": Link(0)}, block_tokens, seed=seed)
    if tells_steps:
        scenario = replace(scenario, report_interval_ns=None, reports_steps=True)
    World(scenario, replicas, [policy], records.append).run(sessions)
    return records


def figures_of(records: Sequence[TurnRecord]) -> Figures:
    """Mean and p95 as Dynamo's report has them."""
    ttft_ns = sorted(record.ttft_ns for record in records if record.ttft_ns >= 0)
    return Figures(
        requests=len(records),
        ttft_mean_ms=sum(ttft_ns) / len(ttft_ns) / NS_PER_MS,
        ttft_p95_ms=ttft_ns[int(0.95 * len(ttft_ns))] / NS_PER_MS,
        hit_share=sum(record.cached_tokens for record in records)
        / sum(record.prompt_tokens for record in records),
    )
