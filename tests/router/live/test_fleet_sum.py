"""What the workers of one router see is told as the state of one router."""

from router.live.fleet_sum import summed
from wire.spillway.v1 import fleet_pb2 as pb

UP, SUSPECT, DOWN = pb.EndpointState.UP, pb.EndpointState.SUSPECT, pb.EndpointState.DOWN


def endpoint(name, **fields):
    """One that serves, and sends no reports."""
    return pb.EndpointState(name=name, **{"health": UP, "report_age_s": -1} | fields)


def worker(*endpoints, **fields):
    """What one worker sees of a fleet of one site."""
    site = {
        name: fields.pop(name)
        for name in [*fields]
        if name in pb.SiteState.DESCRIPTOR.fields_by_name
    }
    sites = [pb.SiteState(name="home", endpoints=endpoints, **site)]
    return pb.FleetState(router_id="r", sites=sites, **fields)


def test_what_each_has_for_itself_adds_up():
    """Streams, sessions, turns and money, of the fleet, its sites, its endpoints and tenants."""
    one = worker(endpoint("home/a", in_flight=2), turns=5, cost_usd=0.5, resumed=1)
    other = worker(endpoint("home/a", in_flight=3), turns=7, cost_usd=0.25, resumed=2)
    one.tenants.add(name="search", weight=2, waiting=1, admitted=5)
    other.tenants.add(name="search", weight=2, waiting=4, admitted=7)
    whole = summed([one, other])
    [site], [tenant] = whole.sites, whole.tenants
    assert (whole.resumed, site.turns, site.cost_usd) == (3, 12, 0.75)
    assert [at.in_flight for at in site.endpoints] == [5]
    assert (tenant.weight, tenant.waiting, tenant.admitted) == (2, 5, 12)


def test_what_all_see_alike_does_not():
    """An engine's load is as its freshest report has it; percentiles are the worst of any."""
    one = worker(endpoint("home/a", running_requests=4, report_age_s=0.5), ttft_s_p99=0.2)
    other = worker(endpoint("home/a", running_requests=9, report_age_s=0.1), ttft_s_p99=0.3)
    one.budgets.add(site="home", month=202611, spent_usd=3, most_usd=9)
    other.budgets.add(site="home", month=202611, spent_usd=4, most_usd=9)
    whole = summed([one, other])
    [site], [budget] = whole.sites, whole.budgets
    assert site.endpoints[0].running_requests == 9
    assert site.ttft_s_p99 == 0.3
    assert (budget.spent_usd, budget.most_usd) == (4, 9)


def test_an_endpoint_that_only_some_reach_is_suspect():
    """And one that nobody reaches is down."""
    one = worker(endpoint("home/a"), endpoint("home/b", health=DOWN), endpoint("home/c"))
    other = worker(endpoint("home/a", health=DOWN), endpoint("home/b", health=DOWN))
    [site] = summed([one, other]).sites
    health = {at.name: at.health for at in site.endpoints}
    assert health == {"home/a": SUSPECT, "home/b": DOWN, "home/c": UP}


def test_the_first_trouble_of_any_is_told_and_a_store_that_any_has_lost():
    """For an operator there is one router."""
    one, other = worker(), worker(reload_problem="no such key", audit_problem="full")
    one.store.CopyFrom(pb.SharedState(routers=2, held=[pb.Held(bucket="b", amount=1)]))
    other.store.CopyFrom(pb.SharedState(away=True, routers=2, held=[pb.Held(bucket="b", amount=2)]))
    whole = summed([one, other])
    assert (whole.reload_problem, whole.audit_problem) == ("no such key", "full")
    assert whole.store.away
    assert [(held.bucket, held.amount) for held in whole.store.held] == [("b", 3)]


def test_a_version_that_any_has_taken_back_is_told_with_the_answers_of_all():
    """And so are the turns that another model has answered."""
    one, other = worker(), worker()
    one.rollouts.add(name="chat", new=pb.VersionState(model="b", answers=3))
    other.rollouts.add(name="chat", new=pb.VersionState(model="b", answers=4), returned="late")
    one.stood_in.add(model="chat", stand_in="small", turns=2)
    other.stood_in.add(model="chat", stand_in="small", turns=3)
    [rollout], [stood_in] = (whole := summed([one, other])).rollouts, whole.stood_in
    assert (rollout.returned, rollout.new.model, rollout.new.answers) == ("late", "b", 7)
    assert stood_in.turns == 5


def test_of_no_worker_nothing_is_known():
    """And of one it is what that one sees, but for when it was looked at."""
    assert not summed([]).sites
    alone = worker(endpoint("home/a", in_flight=2), turns=5, draining=True)
    whole = summed([alone])
    whole.sampled_unix_ns = 0
    assert whole == alone
