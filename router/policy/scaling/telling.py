"""Why a site is to have as many replicas as it is, in a sentence."""

from router.policy.explanation import span

GROWS = "grows"
ENOUGH = "has enough"
AT_MOST = "has all it may have, and more is needed"
SHORT_NEED = "more is needed, but not for as long as it would be billed"
SPARE = "needs fewer, but not for long enough to give one back"
PAID = "needs fewer, and what it has is paid for"
WANTED_BACK = "needs fewer, and will need them again before long"
SHRINKS = "gives back what it does not need"
CAPPED = "gives back what is lent, or what its budget does not pay for"
DRAINING = "is left as it is while it drains"


def sentence(
    reason: str, need: float, requests_per_s: float, forecast_per_s: float, ahead_ns: int
) -> str:
    """The reason with its figures."""
    return (
        f"{reason}: {requests_per_s:.3g} requests/s now, at most {forecast_per_s:.3g} in the next"
        f" {span(ahead_ns)}, which take {need:.1f} replicas here"
    )
