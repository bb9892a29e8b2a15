"""A load report as the core sees it."""

from dataclasses import dataclass

from router.policy.adapters import AdapterLoad
from router.policy.gateway import Gateway
from router.policy.lease import LeaseAccount


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What an endpoint said of itself, and when it was heard. Times in nanoseconds."""

    endpoint: str
    instance: str  # a new one means a restarted engine with a cold cache
    sequence: int  # grows within an instance; an older one is ignored
    running: int = 0
    waiting: int = 0
    queued_prefill_tokens: int = 0
    kv_usage: float = 0.0  # 0 to 1
    running_max: int = 0  # 0: unknown
    ttft_ns: int = 0  # recent mean, 0: unknown
    itl_ns: int = 0
    itl_ns_p95: int = 0  # of the last second or so, 0: unknown
    draining: bool = False
    lent_share: float = 0.0
    prefix_reset: bool = False
    prefix_added: tuple[int, ...] = ()
    prefix_removed: tuple[int, ...] = ()
    gateway: Gateway | None = None  # of an endpoint that is a router
    adapters: AdapterLoad | None = None  # None: it says nothing of any
    accounts: tuple[LeaseAccount, ...] = ()  # of leases that this router gave
