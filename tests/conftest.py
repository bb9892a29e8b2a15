"""Settings of all tests, and what live ones share: one local fleet, started once."""

import os
import signal
from collections.abc import Iterator

# Triton reads this when it is first imported, whichever test does so; see tests/kernels/conftest.
if os.environ.get("SPILLWAY_KERNELS_ON_GPU") != "1":
    os.environ["TRITON_INTERPRET"] = "1"

import pytest
from hypothesis import HealthCheck, settings

from spillway.local.fleet import LocalFleet
from spillway.local.reporter import Silent
from spillway.local.two_sites import built_in_model, two_sites

# A shell's background job is born deaf to Ctrl-C, and so would be every process that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else the machine does, and says nothing of the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# What takes a machine of its own ten seconds, or a minute to start, takes a busy one far longer.
SLOW_TIMEOUT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first; slow and live ones get the time that a busy machine takes for them."""
    items.sort(key=lambda item: item.get_closest_marker("live") is not None)
    for item in items:
        is_long = item.get_closest_marker("live") or item.get_closest_marker("slow")
        if is_long and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))


@pytest.fixture(scope="session")
def local_fleet() -> Iterator[LocalFleet]:
    """A home and a rented site with the built-in model, and a router, for tests that break nothing.

    `local_fleet.address` is the router's; `local_fleet.sites[name]` has the dashboard's URL in
    `ports.dashboard_url` and its replicas in `replica_addresses()`.
    """
    with LocalFleet(two_sites(built_in_model()), Silent()) as fleet:
        fleet.start()
        yield fleet
