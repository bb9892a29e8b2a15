"""What several processes of one router were asked, put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.scaling.capacity import Sample, SiteSample
from router.policy.scaling.crew import PROCESSES_MAX, Crew, SiteDone, Told
from router.policy.scaling.demand import Asked

OWN = Sample(Asked(1, 10, 5.0, 1, 0), (SiteSample("home", 2, 100.0, 1, 50.0),))


def told(process=1, began=1, requests=1, work=0.0, usd=0.0):
    asked = Asked(requests, 10 * requests, 5.0 * requests, requests, requests)
    return Told(process, began, asked, {"home": SiteDone(work, requests, usd)})


def test_demand_is_that_of_all_and_a_site_is_as_this_process_sees_it():
    """Totals add up; replicas and speeds are no totals."""
    crew = Crew()
    crew.hear(told(1, requests=2, work=40.0))
    crew.hear(told(2, requests=3, work=60.0))
    together = crew.with_own(OWN)
    assert together.asked == Asked(6, 60, 30.0, 6, 5)
    assert together.sites == (SiteSample("home", 2, 200.0, 6, 50.0),)


def test_a_process_that_is_started_anew_takes_nothing_back():
    """It counts from nothing, and what was told before stays; its last word counts once."""
    crew = Crew()
    crew.hear(told(1, began=1, requests=5))
    crew.hear(told(1, began=1, requests=7))
    crew.hear(told(1, began=2, requests=1))
    assert crew.with_own(OWN).asked.requests == 1 + 7 + 1
    assert crew.processes == 1


def test_what_was_spent_is_told_of_the_sites_that_are_asked_for():
    """A site that nobody knows cost nothing."""
    crew = Crew()
    crew.hear(told(1, usd=2.0))
    crew.hear(told(2, usd=0.5))
    assert crew.spent_usd(["home", "cloud"]) == pytest.approx(2.5)
    assert crew.spent_usd(["cloud"]) == 0.0


def test_more_processes_than_there_can_be_are_not_kept():
    """Whoever tells more than that is no worker of this host."""
    crew = Crew()
    for process in range(PROCESSES_MAX + 5):
        crew.hear(told(process))
    assert crew.processes == PROCESSES_MAX


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 50)), min_size=1, max_size=60
    )
)
def test_whatever_is_told_in_whatever_order_the_sum_is_that_of_all_there_was(events):
    """Each event asks more of a process, which may have been started anew before."""
    crew, asked, begun, total = Crew(), {}, {}, 0
    for process, anew, more in events:
        if anew:
            begun[process], asked[process] = begun.get(process, 0) + 1, 0
        asked[process] = asked.get(process, 0) + more
        total += more
        crew.hear(told(process, begun.get(process, 0), asked[process]))
    assert crew.with_own(OWN).asked.requests == 1 + total
