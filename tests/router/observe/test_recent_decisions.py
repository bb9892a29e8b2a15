"""What a person who watches reads back."""

from router.observe.event import Event, OutcomeSeen, RequestArrived, Started
from router.observe.recent_decisions import KEPT_MAX, Flow, RecentDecisions
from router.policy.decision import Mode, Refuse, Rule, Send, Wait
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.outcome import End, Ended
from router.policy.request import Request

FLEET = Fleet(
    (Site("home", SiteKind.HOME), Site("cloud", SiteKind.RENTED)),
    (SloClass("chat", ttft_ns=1, itl_ns=1),),
    "chat",
)


def send(site="home", rule=Rule.HOME, mode=Mode.FRESH):
    return Send("r", f"{site}/a", site, rule, "chat", 1, (), mode=mode)


def begun():
    recent = RecentDecisions()
    recent.on_event(Event(0, 100, Started("router", 5_100, 1, FLEET)))
    return recent


def arrive(recent, decision, session="s", now_ns=200, released=()):
    happening = RequestArrived(Request("r", "m", session=session))
    recent.on_event(Event(1, now_ns, happening, decision, released))


def test_a_decision_is_kept_with_its_time_and_session():
    """The router's clock is related to the wall's by its start."""
    recent = begun()
    arrive(recent, send())
    (recorded,) = recent.since(0, 10)
    assert (recorded.number, recorded.unix_ns, recorded.session) == (1, 5_200, "s")


def test_since_gives_the_latest_oldest_first():
    recent = begun()
    for _ in range(7):
        arrive(recent, send())
    assert [one.number for one in recent.since(2, 10)] == [3, 4, 5, 6, 7]
    assert [one.number for one in recent.since(0, 3)] == [5, 6, 7]
    assert recent.since(7, 10) == []


def test_only_so_many_are_kept():
    recent = begun()
    for _ in range(KEPT_MAX + 5):
        arrive(recent, send())
    assert len(recent.since(0, 10_000)) == KEPT_MAX
    assert recent.count == KEPT_MAX + 5


def test_each_turn_is_counted_once_by_its_way():
    """A resumed stream is that whatever rule sent it; what waits or is refused flows nowhere."""
    recent = begun()
    arrive(recent, send())
    arrive(recent, send("cloud", Rule.STICKY))
    arrive(recent, send("cloud", Rule.OVERFLOW))
    arrive(recent, send("home", Rule.SPILL_BACK))
    arrive(recent, Wait("r", Rule.QUEUED, "", "chat", "t", (), 0))
    arrive(recent, Refuse("r", Rule.OVERLOAD, "", "chat", (), 0), released=(send("cloud"),))
    broken = OutcomeSeen(Ended("r", "home/a", End.UNREACHABLE))
    resumed = send("cloud", Rule.OVERFLOW, Mode.CONTINUE)
    recent.on_event(Event(9, 300, broken, resumed))
    assert recent.flows == {
        "home": Flow(settled=1, returned=1),
        "cloud": Flow(settled=2, overflow=1, resumed=1),
    }
    assert recent.count == 8
