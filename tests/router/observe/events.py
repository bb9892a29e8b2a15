"""A short history of a router, made by a real core."""

import random
from dataclasses import replace

from router.observe.event import (
    AskedAgain,
    ConnectionChanged,
    DrainChanged,
    EndpointGone,
    EndpointUp,
    Event,
    FleetChanged,
    LoadHeard,
    LoansChanged,
    OutcomeSeen,
    RequestArrived,
    RoundTripMeasured,
    Started,
    StoreHeard,
    Ticked,
)
from router.observe.tell import tell
from router.policy.allowance import Granted
from router.policy.core import RouterCore
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.gateway import Forecast, Gateway
from router.policy.hint import Hint
from router.policy.load import LoadReport
from router.policy.loan import Loan, Recall, SiteLoans
from router.policy.outcome import End, Ended, FirstToken
from router.policy.recovery import Again
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.units import NS_PER_MS, NS_PER_S

FLEET = Fleet(
    sites=(
        Site("home", SiteKind.HOME),
        Site("cloud", SiteKind.RENTED, price=Price(metered_usd_per_replica_hour=2.5)),
    ),
    slo_classes=(SloClass("chat", ttft_ns=NS_PER_S, itl_ns=50 * NS_PER_MS),),
    default_slo="chat",
)


def history(seed=7):
    """Events of every kind, with decisions that use randomness, retries and a refusal."""
    core, rng = RouterCore(FLEET), random.Random(seed)
    events = [Event(0, 0, Started("router-1", 1, seed, FLEET))]

    def add(happening):
        now = len(events) * NS_PER_MS
        events.append(Event(len(events), now, happening, tell(core, happening, now, rng)))
        return events[-1].decision

    for name in ("home/a", "home/b", "cloud/c"):
        add(EndpointUp(Endpoint(name, name.partition("/")[0], "m", ("alias",))))
        add(ConnectionChanged(name, connected=True))
        add(RoundTripMeasured(name, 2 * NS_PER_MS))
        add(LoadHeard(LoadReport(name, "i", 1, running=1, kv_usage=0.1, prefix_added=(2**64 - 1,))))
    gateway = Gateway(False, 1, 2, (Forecast(1, 20 * NS_PER_MS), Forecast(256, 40 * NS_PER_MS)))
    add(LoadHeard(LoadReport("cloud/c", "i", 2, running=1, gateway=gateway)))
    add(FleetChanged(replace(FLEET, sites=(*FLEET.sites, Site("late", SiteKind.RENTED)))))
    add(StoreHeard(2, (Granted("usd/cloud/hour", 1.5, 0.25),)))
    hint = Hint("home/b", 0, 100, 2, 2**64 - 1)
    send = add(RequestArrived(Request("hinted", "m", "known", prefix=(1, 2**64 - 1), hint=hint)))
    add(OutcomeSeen(Ended(send.request, send.endpoint, End.CANCELLED)))
    for number in range(12):
        session = f"s{number % 5}" if number % 2 else ""  # without one, chance decides
        send = add(RequestArrived(Request(f"r{number}", "m", session, prefix=(1, 2**63))))
        if number % 3 == 0:
            send = add(OutcomeSeen(Ended(send.request, send.endpoint, End.UNREACHABLE)))
        add(OutcomeSeen(FirstToken(send.request, send.endpoint, 20 * NS_PER_MS)))
        ended = Ended(send.request, send.endpoint, End.OK, 11, 11, 120 * NS_PER_MS, 900)
        add(OutcomeSeen(ended))
    add(RequestArrived(Request("none", "unknown")))
    point = ResumePoint(tokens=3, prompt_tokens=8, text_whole=False)
    begun = Request("begun", "m", "s1", prefix=(1,), resume=point)
    send = add(AskedAgain(Again(begun, (), 2, 1)))
    add(OutcomeSeen(Ended(send.request, send.endpoint, End.CANCELLED)))
    loan, recall = Loan(1, 2, 10**18, 2 * 10**18, "training"), Recall(1, 2 * 10**18)
    add(LoansChanged("home", SiteLoans(loan, recall, ("home/b",), 10**18)))
    add(DrainChanged("home", draining=True))
    add(EndpointGone("home/a"))
    add(Ticked())
    return events
