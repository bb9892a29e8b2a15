"""What one attempt cost: docs/cost.md says what each figure means."""

from collections.abc import Callable
from dataclasses import dataclass

from router.policy.flight import Flight
from router.policy.outcome import End, Ended


@dataclass(frozen=True, slots=True)
class Charge:
    """An attempt that is over, and its share of what its site costs. Money is in US dollars."""

    number: int  # of this router, from 1 and without gaps: what makes each be counted once
    request: str  # the id by which the router knows it: its attempts have it in common
    attempt: int  # 1 for the first
    kind: str  # first, retry, resume, hedge, lease, or unused: a lease of which nothing came
    tenant: str  # of the fleet file
    site: str
    endpoint: str
    model: str
    hardware: str
    end: End
    prompt_tokens: int
    uncached_tokens: int  # of these, that are taken to have been computed
    output_tokens: int
    egress_bytes: int
    lasted_ns: int  # from sending it to its end
    committed_gpu_s: float
    metered_gpu_s: float
    committed_usd: float
    metered_usd: float
    egress_usd: float

    @property
    def spent_usd(self) -> float:
        """What counts against budgets: committed capacity is paid for, used or not."""
        return self.metered_usd + self.egress_usd


Charged = Callable[[Charge], None]
"""Hears what each attempt cost, in the call that ends it."""


def unheard(charge: Charge) -> None:
    """Where nobody keeps accounts."""


def charge_of(
    number: int, flight: Flight, tenant: str, model: str, ended: Ended, now: int
) -> Charge:
    """What an attempt cost whose share of the site's time is settled."""
    share, request, tariff = flight.share, flight.request, flight.site.tariff
    committed_ns = max(0.0, share.ns - share.metered_ns)
    return Charge(
        number=number,
        request=_base_of(request.id),
        attempt=flight.attempt,
        kind=_kind_of(flight, ended),
        tenant=tenant,
        site=flight.site.name,
        endpoint=flight.endpoint,
        model=model,
        hardware=flight.site.site.hardware,
        end=ended.end,
        prompt_tokens=request.prompt_tokens,
        uncached_tokens=flight.uncached_tokens,
        output_tokens=ended.output_tokens,
        egress_bytes=ended.egress_bytes,
        lasted_ns=max(0, now - flight.sent_ns),
        committed_gpu_s=committed_ns * tariff.gpu_s_per_ns,
        metered_gpu_s=share.metered_ns * tariff.gpu_s_per_ns,
        committed_usd=committed_ns * tariff.committed_usd_per_ns,
        metered_usd=share.metered_ns * tariff.metered_usd_per_ns,
        egress_usd=ended.egress_bytes * tariff.egress_usd_per_byte,
    )


def _kind_of(flight: Flight, ended: Ended) -> str:
    """What the attempt was to its request, which is one however often it is asked for."""
    if flight.is_hedge:
        return "hedge"
    if flight.request.direct:
        came = ended.end is End.OK or ended.output_tokens or ended.messages
        return "lease" if came else "unused"  # its client brings the request to a router
    if flight.resumes or flight.request.resume is not None:
        return "resume"
    return "first" if flight.attempt == 1 else "retry"


def _base_of(request: str) -> str:
    """The id of the request of which an attempt is, without what tells hedges and leases apart."""
    return request.partition("~")[0].partition("#")[0]
