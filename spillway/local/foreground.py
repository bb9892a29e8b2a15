"""A local fleet left running in the foreground: `spillway up --local`."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

from spillway.local.fleet import LocalFleet
from spillway.local.plan import FleetPlan
from spillway.local.reporter import reporter_for_terminal

LOOK_INTERVAL_S = 0.5


def run_in_foreground(plan: FleetPlan) -> None:
    """Start the fleet, say where it is, and keep it until Ctrl-C or SIGTERM.

    A router that ends is started again at its address; a site that ends is reported.

    Raises:
        LocalError: the fleet cannot be started.
    """
    reporter = reporter_for_terminal()
    with sigterm_as_interrupt(), LocalFleet(plan, reporter) as fleet:
        try:
            with reporter:
                fleet.start()
            _say(*_where(fleet))
            _keep(fleet)
        except KeyboardInterrupt:
            _say("Stopping.")


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, so that what it started is ended first."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _keep(fleet: LocalFleet) -> None:
    """Look after the fleet until interrupted."""
    lost: set[str] = set()
    while True:
        time.sleep(LOOK_INTERVAL_S)
        for name, site in fleet.sites.items():
            if name not in lost and not site.kept.running:
                lost.add(name)
                _say(f"Site {name} ended; the others go on.")
        ended = [name for name, one in fleet.gateways.items() if not one.kept.running]
        for name in ended:
            if name not in lost:
                _say(f"The gateway of {name} ended; it is started again.")
                fleet.start_gateway(fleet.sites[name].plan)
        if not fleet.router.kept.running:
            _say("The router ended; it is started again.")
            again = replace(fleet.plan, listen=fleet.address, openai_listen=fleet.openai_address)
            fleet.start_router(again)


def _where(fleet: LocalFleet) -> list[str]:
    dashboards = [
        f"Site {name}: {site.ports.dashboard_url} (ray job submit --address ...)"
        for name, site in fleet.sites.items()
    ]
    gateways = [f"Gateway {name}: {one.address}" for name, one in fleet.gateways.items()]
    return [
        f"Router:      {fleet.address}",
        f"OpenAI API:  http://{fleet.openai_address}/v1",
        f"Fleet page:  http://{fleet.router.metrics_address}/",
        f"Metrics:     http://{fleet.router.metrics_address}/metrics",
        f"Fleet file:  {fleet.router.fleet_file}",
        *gateways,
        *dashboards,
        "Ctrl-C ends it all.",
    ]


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
