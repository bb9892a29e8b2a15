"""The fleet that `spillway up --local` and `make demo` start: a small home and a rented site.

Home's engine decodes few sequences at once, so that it is full, and overflows, long before this
machine is. The rented site runs on the same cores, and has room.
"""

from collections.abc import Mapping
from typing import Any

from router.policy.fleet import Price, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from serving.models import BUILT_IN_NAME
from spillway.local.plan import FleetPlan, SitePlan

HOME, RENTED = "home", "rented"
HOME_SLOTS, RENTED_SLOTS = 2, 32  # sequences decoded at once
RENTED_USD_PER_REPLICA_HOUR = 4.0  # about what a cloud asks for a large GPU
TTFT_S = 1.0
ITL_MS = 500  # wide: two engines share this machine
BATCH_TTFT_S = 60


def two_sites(
    settings: Mapping[str, Any],
    *,
    ttft_s: float = TTFT_S,
    listen: str | None = None,
    openai_listen: str | None = None,
    gateways: bool = False,
) -> FleetPlan:
    """The plan; `settings` holds arguments of serving.app:build for both sites."""
    slo = SloClass("interactive", ttft_ns=round(ttft_s * NS_PER_S), itl_ns=ITL_MS * NS_PER_MS)
    batch = SloClass(
        "batch",
        ttft_ns=BATCH_TTFT_S * NS_PER_S,
        itl_ns=NS_PER_S,
        home_only=True,
        priority=slo.priority + 1,
    )
    home = Price(committed_replicas=1)
    rented = Price(metered_usd_per_replica_hour=RENTED_USD_PER_REPLICA_HOUR)
    return FleetPlan(
        sites=(
            SitePlan(HOME, SiteKind.HOME, _with_slots(settings, HOME_SLOTS), home),
            SitePlan(RENTED, SiteKind.RENTED, _with_slots(settings, RENTED_SLOTS), rented),
        ),
        slo_classes=(slo, batch),
        listen=listen,
        openai_listen=openai_listen,
        gateways=gateways,
    )


def built_in_model() -> dict[str, Any]:
    """The arguments for vLLM engines with the built-in model."""
    return {"model": BUILT_IN_NAME}


def fake_engine() -> dict[str, Any]:
    """The arguments for engines that count at a set pace: for rehearsals and tests."""
    return {"model": "counting", "engine": "fake"}


def _with_slots(settings: Mapping[str, Any], slots: int) -> dict[str, Any]:
    """The same arguments with a bound on the sequences that the engine decodes at once."""
    if settings.get("engine") == "fake":
        return {**settings, "fake": {**settings.get("fake", {}), "max_running": slots}}
    vllm = settings.get("vllm", {})
    arguments = {**vllm.get("arguments", {}), "max_num_seqs": slots}
    return {**settings, "vllm": {**vllm, "arguments": arguments}}
