"""Settings of all tests, and what live ones share: one local fleet, started once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Triton reads this when it is first imported, whichever test does so; see tests/kernels/conftest.
if os.environ.get("SPILLWAY_KERNELS_ON_GPU") != "1":
    os.environ["TRITON_INTERPRET"] = "1"

import pytest
from hypothesis import HealthCheck, settings

from spillway.local.fleet import LocalFleet
from spillway.local.reporter import Silent
from spillway.local.two_sites import built_in_model, two_sites
from tests import inside
from tests.reach import stays_inside

# A shell's background job is born deaf to Ctrl-C, and so would be every process that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes depends on what else the machine does, and says nothing of the code.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# What takes a machine of its own ten seconds, or a minute to start, takes a busy one far longer.
SLOW_TIMEOUT_S = 600
COMPILES_TIMEOUT_S = 1_800
"""A compiler has what others leave it of the machine."""


# Marks of tests that are no unit tests, wherever they stand.
NO_UNIT = ("outside", "live", "slow", "gpu")


def pytest_configure(config: pytest.Config) -> None:
    """Where unit tests run, they are watched."""
    if config.option.markexpr == "unit":
        inside.watch()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Two for each processor where tests wait for half of their time, one where they compute."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist goes by that
    processors = len(os.sched_getaffinity(0))
    return processors if config.option.markexpr in {"unit", "compiles"} else 2 * processors


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only unit tests are asked for, no other file is imported."""
    if config.option.markexpr != "unit" or not collection_path.is_relative_to(
        Path(__file__).parent
    ):
        return None
    if collection_path.is_dir():
        return not any(map(stays_inside, collection_path.rglob("test_*.py"))) or None
    return not stays_inside(collection_path) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders tests, gives long ones the time that a busy machine takes, and marks unit tests."""
    is_worker = hasattr(config, "workerinput")
    items.sort(key=lambda item: _place(item, is_worker=is_worker))
    for item in items:
        is_long = item.get_closest_marker("live") or item.get_closest_marker("slow")
        if is_long and not item.get_closest_marker("timeout"):
            compiles = item.get_closest_marker("compiles")
            timeout_s = COMPILES_TIMEOUT_S if compiles else SLOW_TIMEOUT_S
            item.add_marker(pytest.mark.timeout(timeout_s))
        if "unit" in config.option.markexpr and _is_unit(item):
            item.add_marker("unit")


def _place(item: pytest.Item, *, is_worker: bool) -> tuple[bool, bool]:
    """Live tests come last; one of several workers begins with slow ones, lest one is left over."""
    live, slow = (item.get_closest_marker(name) is not None for name in ("live", "slow"))
    return live, is_worker and not slow


def _is_unit(item: pytest.Item) -> bool:
    return stays_inside(item.path) and not any(map(item.get_closest_marker, NO_UNIT))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Holds unit tests to being some."""
    if item.config.option.markexpr != "unit":
        return (yield)
    with inside.nothing_reaches_out():
        return (yield)


@pytest.fixture(scope="session")
def local_fleet() -> Iterator[LocalFleet]:
    """A home and a rented site with the built-in model, and a router, for tests that break nothing.

    `local_fleet.address` is the router's; `local_fleet.sites[name]` has the dashboard's URL in
    `ports.dashboard_url` and its replicas in `replica_addresses()`.
    """
    with LocalFleet(two_sites(built_in_model()), Silent()) as fleet:
        fleet.start()
        yield fleet
