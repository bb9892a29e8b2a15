"""`shared prompt`: customers with long contexts and several users each, as llm-d published it.

150 customers have a context of 6,000 tokens, which each of their five users puts before a question
of 1,200. From 3 to 60 requests a second come within ten minutes, each from a user drawn evenly. All
go to eight replicas at home. An answer has 100 tokens in the mean. A replica's cache is cut to
300,000 tokens, a third of all contexts, because in the published set-up they do not all fit into
one either.
"""

import random
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.routing.sites import HOME, fleet_of, replicas_of
from benchmarks.workloads.arrivals import poisson
from benchmarks.workloads.plan import Session, Turn
from router.policy.units import NS_PER_MS
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, Scenario, SimSession

CUSTOMERS, USERS = 150, 5
CONTEXT_TOKENS, QUESTION_TOKENS = 6_000, 1_200
ANSWER_TOKENS = 100
LEAST_PER_S, MOST_PER_S = 3.0, 60.0
DURATION_S = 600.0
KV_TOKENS = 300_000
REPLICAS = 8

FLEET = fleet_of(HOME)


def rate(at_s: float) -> float:
    """Requests per second, rising in a straight line."""
    return LEAST_PER_S + (MOST_PER_S - LEAST_PER_S) * at_s / DURATION_S


def asked(seed: int, block_tokens: int) -> Iterator[Session]:
    """Questions of users drawn evenly; the context's full blocks are named for its customer."""
    rng = random.Random(seed)
    shared = CONTEXT_TOKENS // block_tokens
    for index, at_s in enumerate(poisson(rate, random.Random(f"{seed} arrivals"))):
        if at_s >= DURATION_S:
            return
        customer, user = rng.randrange(CUSTOMERS), rng.randrange(USERS)
        answer = max(1, round(rng.expovariate(1 / ANSWER_TOKENS)))
        blocks = tuple((customer << 16) + block for block in range(shared))
        yield Session(
            f"{customer}-{user}-{index}",
            at_s,
            (Turn(CONTEXT_TOKENS + QUESTION_TOKENS, answer, blocks=blocks),),
            block_tokens,
            tenant=f"customer-{customer}",
        )


def build(options: Options) -> Setup:
    """The scenario."""
    size = H100_TP8.block_tokens
    hardware = replace(H100_TP8, kv_blocks=KV_TOKENS // size)

    def sessions() -> Iterator[SimSession]:
        return simulated(asked(options.seed, size))

    return Setup(
        name="shared-prompt",
        title=(
            f"{CUSTOMERS} contexts of {CONTEXT_TOKENS:,} tokens, {LEAST_PER_S:g} to "
            f"{MOST_PER_S:g} requests/s; home {REPLICAS} H100"
        ),
        fleet=FLEET,
        replicas=replicas_of("home", REPLICAS, hardware),
        world=Scenario(links={"home": Link(NS_PER_MS // 2)}, block_tokens=size, seed=options.seed),
        sessions=sessions,
    )
