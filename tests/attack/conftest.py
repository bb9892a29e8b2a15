"""One fleet for all attacks; after each of them it is as it was, and nobody else was harmed."""

import pytest

from tests.attack.scene import under_attack
from tests.waiting import wait_until

FDS_MORE_MAX = 12
"""Over those at first, once an attack is over: connections that are closing, and an engine's."""

THREADS_MORE_MAX = 24
"""gRPC's own and asyncio's pool grow to so many with the first floods, and stay."""

RSS_MORE_MIB_MAX = 160
"""Over that at first. Messages of 16 MiB come and go, and an allocator gives little of it back."""


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    """A router that others reach, two engines, and an honest client."""
    with under_attack(tmp_path_factory.mktemp("attack")) as made:
        yield made


@pytest.fixture(scope="session")
def at_first(scene):
    """What the router held before anybody attacked it."""
    return scene.router.footprint


@pytest.fixture(autouse=True)
def unharmed(scene, at_first):
    """An honest stream runs during each attack; afterwards the router holds what it held."""
    yield
    scene.honest.until_answered()
    assert not scene.honest.harmed
    wait_until(lambda: scene.router.footprint.fds <= at_first.fds + FDS_MORE_MAX)
    after = scene.router.footprint
    assert after.threads <= at_first.threads + THREADS_MORE_MAX
    assert after.rss_mib <= at_first.rss_mib + RSS_MORE_MIB_MAX
