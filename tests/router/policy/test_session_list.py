"""Sessions for who wants to see them: in order, and no more than asked."""

from router.policy.core import RouterCore
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Limits, Site, SiteKind, SloClass
from router.policy.session_list import LOOKED_AT_MAX, Wanted
from router.policy.units import NS_PER_S

FLEET = Fleet(
    (Site("home", SiteKind.HOME), Site("cloud", SiteKind.RENTED)),
    (SloClass("chat", NS_PER_S, NS_PER_S),),
    "chat",
    Limits(session_age_max_ns=100 * NS_PER_S),
)


def placed(*names):
    """A core with these sessions at home, placed one a second."""
    core = RouterCore(FLEET)
    core.on_endpoint_up(Endpoint("home/a", "home", "m"), 0)
    for second, name in enumerate(names):
        core._sessions.place(name, "home/a", second * NS_PER_S)
    return core


def test_no_more_are_listed_than_are_wanted():
    """The latest, and that there are more."""
    page = placed("a", "b", "c").placements.listed(Wanted(2), 3 * NS_PER_S)
    assert [one.session for one in page.sessions] == ["c", "b"]
    assert (page.more, page.total) == (True, 3)
    assert page.sessions[0].idle_ns == NS_PER_S


def test_what_has_aged_out_is_not_listed():
    """Though it may be in the table still."""
    page = placed("a", "b").placements.listed(Wanted(9), 101 * NS_PER_S)
    assert [one.session for one in page.sessions] == ["b"]


def test_a_tenant_s_name_ends_where_its_session_s_begins():
    """Whatever a client calls its session."""
    page = placed("acme\0s\0bolt", "s").placements.listed(Wanted(9, tenant="acme"), NS_PER_S)
    assert [(one.tenant, one.session) for one in page.sessions] == [("acme", "s\0bolt")]


def test_an_endpoint_that_is_gone_is_at_no_site():
    """The session is listed all the same, by where it was."""
    core = placed("a")
    core.on_endpoint_gone("home/a", 0)
    (one,) = core.placements.listed(Wanted(9), 0).sessions
    assert (one.site, one.endpoint, one.overflow) == ("", "home/a", False)
    assert not core.placements.listed(Wanted(9, site="home"), 0).sessions


def test_not_all_of_a_large_table_are_looked_at():
    """What nobody asks for would be looked at for long."""
    core = placed()
    for number in range(LOOKED_AT_MAX + 1):
        core._sessions.place(f"s{number}", "home/a", 0)
    page = core.placements.listed(Wanted(9, tenant="acme"), 0)
    assert (page.sessions, page.more) == ((), True)
    assert len(core.placements.listed(Wanted(9, tenant=""), 0).sessions) == 9
