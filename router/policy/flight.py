"""One attempt that was sent and has not ended."""

from dataclasses import dataclass, replace

from router.policy.fleet import SloClass
from router.policy.identity import EngineIdentity
from router.policy.meter import Share
from router.policy.predictor import Ahead
from router.policy.purse import Purse
from router.policy.request import Request
from router.policy.site_state import SiteState


@dataclass(slots=True)
class Flight:
    """What must be remembered of an attempt to account for it and to learn from it.

    The decision is not: its candidates would weigh kilobytes for as long as a stream lasts.
    """

    request: Request
    endpoint: str
    slo_class: SloClass
    attempt: int
    tried: tuple[str, ...]  # endpoints of attempts since the last one that delivered anything
    resumes: int  # how often the stream has gone on elsewhere
    identity: EngineIdentity  # of the endpoint, as of the first token
    tokens_max: int  # of output, from the start of the stream
    sent_ns: int
    due_ns: int  # when its first token was promised
    network_ns: int
    ahead: Ahead
    uncached_tokens: int
    expected_tokens: float  # of output
    price_usd: float
    site: SiteState  # that is paid for it
    share: Share  # of its time
    purse: Purse  # in which its price is held back, whatever becomes of the tenant meanwhile
    probe: bool  # sent to see whether an endpoint is back
    is_hedge: bool = False
    objective_ns: int = 0  # left for its first token when it was sent; 0: not known
    load_ns: int = 0  # that it was to wait for its adapter to be loaded
    lane_adapter: str = ""  # of the lane that it belongs to
    below: int = 0  # attempts that routers among `tried` made beyond one each
    partner: str = ""  # the other attempt of a request that is hedged, while both are open
    first_ns: int = 0  # when its first token came, or is taken to have come; 0: not yet
    ttft_ns: int = 0
    streams: float = 0.0  # beside it when its first token came

    def forget_prefix(self) -> None:
        """Its first token came: the hashes of a long prompt have served, and streams are long."""
        if self.request.prefix:
            self.request = replace(self.request, prefix=())
