"""The clairvoyant bound of a scenario, run like a policy: see router.sim.rivals.clairvoyant."""

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.routing.setup import Setup
from router.policy.fleet import SiteKind
from router.sim.plan import SimSession
from router.sim.profile import Profile
from router.sim.rivals.clairvoyant import pooled, shortest_first, undisturbed

BOUND = "clairvoyant"


def bound_of(setup: Setup) -> Setup:
    """The same load on all capacity as one undisturbed engine, at home."""
    home = next(site.name for site in setup.fleet.sites if site.kind is SiteKind.HOME)
    profiles = [profile for _, _, profile in setup.replicas if isinstance(profile, Profile)]

    def sessions() -> Iterator[SimSession]:
        return shortest_first(setup.sessions(), setup.world.block_tokens)

    return replace(
        setup,
        replicas=((f"{home}/all", home, pooled(profiles)),),
        world=undisturbed(setup.world, home),
        sessions=sessions,
        routers=1,
    )
