"""A week shaped by Azure's rates of 2024, with unlike prices, and home lent to training at night.

A tenth of the real rate is asked, and two minutes of the week pass in a second, so that one request
in 1,200 is simulated; the fleet is scaled with the rate, and an hour's price is paid in 30 seconds.
Each night from 3 to 9 h UTC, when the least is asked, a third of home is lent.
"""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.routing.setup import Options, Setup, simulated
from benchmarks.routing.sites import A100_USD, HOME, fleet_of, prices_of, rented, replicas_of
from benchmarks.workloads.azure_week import read_services
from benchmarks.workloads.azure_week import sessions as drawn
from router.policy.fleet import Fleet
from router.policy.lending import Lending, LendWindow
from router.policy.units import NS_PER_MS, ns
from router.sim.hardware import A100_TP8, H100_TP8
from router.sim.lending import lends_of
from router.sim.plan import Link, Scenario, SimSession

TRACES = "azure2024_digitised"
RATE_SHARE = 0.1
CLOCK = 120.0  # seconds of the week in one of the simulation
EAST_USD, WEST_USD = 49.24, 31.92  # CoreWeave HGX H100; Lambda 8x H100 SXM
HOMES = 3
NIGHTS = Lending(HOMES, (LendWindow(HOMES // 3, 3 * 60, 9 * 60),))
NOTICE_S = 15.0
WEEK_S = 7 * 86_400


def fleet_at(clock: float) -> Fleet:
    """The fleet, where so many seconds of the week pass in one of the simulation."""
    return fleet_of(
        replace(HOME, lending=NIGHTS),
        rented("near", A100_USD * clock, committed=2),
        rented("east", EAST_USD * clock),
        rented("west", WEST_USD * clock),
    )


def build(options: Options, clock: float = CLOCK) -> Setup:
    """The scenario."""
    fleet = fleet_at(clock)

    def sessions() -> Iterator[SimSession]:
        services = read_services(options.traces / TRACES)
        share = RATE_SHARE / clock
        return simulated(drawn(services, clock=clock, share=share, seed=options.seed))

    home = replicas_of("home", HOMES, H100_TP8)
    nights = lends_of(
        NIGHTS,
        [name for name, _site, _hardware in home],
        begins_minute=0,
        lasts_ns=ns(WEEK_S / clock),
        notice_ns=ns(NOTICE_S),
        clock=clock,
    )
    return Setup(
        name="week",
        title=(
            f"Azure's week of 2024, 1 request in {clock / RATE_SHARE:.0f}; home {HOMES} H100, "
            "one lent at night, near 2 A100, east and west 3 H100 each"
        ),
        fleet=fleet,
        replicas=(
            *home,
            *replicas_of("near", 2, A100_TP8),
            *replicas_of("east", 3, H100_TP8),
            *replicas_of("west", 3, H100_TP8),
        ),
        world=Scenario(
            links={
                "home": Link(NS_PER_MS // 2),
                "near": Link(2 * NS_PER_MS, tail_ns=NS_PER_MS // 10),
                # Azure's P95 from East US to East US 2 and to West US.
                "east": Link(11 * NS_PER_MS, tail_ns=NS_PER_MS),
                "west": Link(74 * NS_PER_MS, tail_ns=3 * NS_PER_MS),
            },
            block_tokens=H100_TP8.block_tokens,
            lends=tuple(nights),
            prices=prices_of(fleet),
            seed=options.seed,
        ),
        sessions=sessions,
    )
