"""What arrives in a simulated world: sessions of turns with known lengths."""

from dataclasses import dataclass, field

from router.policy.fleet import Price
from router.policy.units import NS_PER_S

MODEL = "simulated"
"""What replicas serve of which nothing else is said."""


@dataclass(frozen=True, slots=True)
class SimTurn:
    """One turn. `think_ns` passes after the previous answer; the first turn's is 0.

    `blocks` names the leading full blocks of `Scenario.block_tokens` tokens of prompt and answer;
    equal names mean equal content.
    """

    prompt_tokens: int
    output_tokens: int
    think_ns: int = 0
    blocks: tuple[int, ...] = ()
    priority: int = 0  # lower is served earlier


@dataclass(frozen=True, slots=True)
class SimSession:
    """A conversation that begins at `at_ns`."""

    id: str
    at_ns: int
    turns: tuple[SimTurn, ...]
    slo: str = ""
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class ReplicaFault:
    """A replica that dies at `at_ns` and is back, with a cold cache, `down_ns` later."""

    replica: str
    at_ns: int
    down_ns: int


@dataclass(frozen=True, slots=True)
class Partition:
    """A site that nothing gets to or from for a while. Its routers notice after a silence.

    One that ends sooner only delays messages.
    """

    site: str
    at_ns: int
    down_ns: int
    noticed_after_ns: int = 5 * NS_PER_S  # as a connection's keepalive does


@dataclass(frozen=True, slots=True)
class Lend:
    """A replica that is given to other work from `at_ns` to `until_ns`; see `router.sim.lending`.

    It takes no new turns from the start, and what it still has is cut off after `notice_ns`.
    """

    replica: str
    at_ns: int
    until_ns: int
    notice_ns: int = 120 * NS_PER_S  # longer than nearly every answer
    worth_usd_per_hour: float | None = (
        None  # where overflow costs more it ends early; see loan_worth
    )


@dataclass(frozen=True, slots=True)
class SiteLease:
    """A site that is gone for good at `until_ns`, and drains `notice_ns` before."""

    site: str
    until_ns: int
    notice_ns: int


@dataclass(frozen=True, slots=True)
class SiteArrival:
    """A site that nobody has listed before `at_ns`: its replicas are new then."""

    site: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Link:
    """The way to a site: its round trip, and how much of it varies from message to message."""

    rtt_ns: int  # at the least
    jitter_ns: int = 0  # each way is longer by up to this, uniformly,
    tail_ns: int = 0  # and by this in the mean, exponentially
    bytes_per_s: int = 0  # 0: sending takes no time
    intake_ns: int = 0  # until the site takes a request in, in the mean, exponentially


@dataclass(frozen=True, slots=True)
class Scenario:
    """The constants of a simulated world besides its replicas and sessions."""

    links: dict[str, Link]  # by site
    block_tokens: int
    report_interval_ns: int | None = 1_000_000_000  # None: no load reports
    report_delay_ns: int = 0  # beyond the link's own
    reports_steps: bool = False  # also at the end of each step that changed a cache, as events do
    max_new_tokens: int = 4_096  # that requests ask for: what they will produce is not known
    slow_gap_ns: int = 100_000_000  # gaps between tokens above this are counted
    listed_after_ns: int = 2_000_000_000  # until a replica that is back is listed again
    rtt_interval_ns: int = 5_000_000_000  # between measured round trips, where they vary
    faults: tuple[ReplicaFault, ...] = ()
    partitions: tuple[Partition, ...] = ()
    lends: tuple[Lend, ...] = ()
    leases: tuple[SiteLease, ...] = ()
    arrivals: tuple[SiteArrival, ...] = ()
    prices: dict[str, Price] = field(default_factory=dict)  # by rented site
    prompt_bytes_per_token: int = 4
    answer_bytes_per_token: int = 48  # a streamed message with one token, framing included
    asks: str = MODEL  # the model that every turn asks for
    models: dict[str, str] = field(default_factory=dict)  # by replica, where it is another one
    failing: dict[str, float] = field(default_factory=dict)  # share of turns that a replica fails
    seed: int = 0
