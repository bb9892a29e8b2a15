"""What routers spend of a bucket together, whatever is lost between them and the store."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.allowance import Allowance, Bucket, Granted
from router.policy.units import NS_PER_MS, NS_PER_S

BUCKET = Bucket("usd/cloud/hour", 100.0, 2.0)


class Store:
    """What the script of router.live.store_script does."""

    def __init__(self):
        self.level = 0.0
        self.at = 0

    def give(self, want, now):
        come = (now - self.at) / NS_PER_S * BUCKET.per_s
        self.level = min(BUCKET.most, self.level + come) - want.debt
        self.at = now
        given = min(want.amount, max(0.0, self.level) / 2) if want.amount > 0 else want.amount
        self.level = min(BUCKET.most, self.level - given)
        return given


def ask(allowance, store, now, fate):
    """A top-up that arrives, whose answer is lost, or that never arrives."""
    want = allowance.want(now)
    if want.amount < 0:
        allowance.grant(Granted(BUCKET.name, want.amount), now)
    if fate == "lost":
        return
    given = store.give(want, now)
    if fate == "arrives":
        allowance.grant(Granted(BUCKET.name, max(0.0, given), want.debt), now)
        allowance.on_store(0.0, now)


steps = st.lists(
    st.tuples(
        st.sampled_from(["ask", "ask", "use", "use", "away", "back", "dies", "forgets", "waits"]),
        st.integers(0, 1),
        st.sampled_from(["arrives", "arrives", "unanswered", "lost"]),
        st.floats(0.0, 1.0),
        st.integers(0, 5_000),
    ),
    max_size=80,
)


@given(steps, st.booleans())
def test_no_more_is_spent_than_has_come_in(taken, goes_on):
    """With routers that die, answers that are lost and a store that forgets."""
    store, now, used = Store(), 0, 0.0
    routers = [Allowance(BUCKET), Allowance(BUCKET)]
    shares = 0.5 if goes_on else 0.0
    for what, which, fate, share, wait_ms in taken:
        now += wait_ms * NS_PER_MS
        router = routers[which]
        if what == "ask":
            ask(router, store, now, fate)
        elif what == "use":
            amount = max(0.0, router.level(now)) * share
            router.use(amount, now)
            used += amount
        elif what == "away":
            router.on_store(shares, now)
        elif what == "back":
            router.on_store(0.0, now)
        elif what == "dies":
            routers[which] = Allowance(BUCKET)
        elif what == "forgets":
            store.level, store.at = 0.0, now
        come_in = now / NS_PER_S * BUCKET.per_s
        # What is used by share while the store is away is the rate's own; the store may have given
        # out as much again in the meantime, which the debt takes back when it is told.
        assert used <= come_in * (2.0 if goes_on else 1.0) + 1e-6


def filled(now, amount=50.0):
    allowance = Allowance(BUCKET)
    allowance.grant(Granted(BUCKET.name, amount), now)
    return allowance


def test_what_is_held_lasts_for_a_while():
    """At the present pace, and for the dearest request of late; an idle router holds little."""
    now = NS_PER_S
    allowance = filled(now, 0.0)
    idle = allowance.want(now).amount
    assert 0.0 < idle < 0.05 * BUCKET.most
    for _ in range(100):
        now += NS_PER_S // 10
        allowance.use(0.1, now)
    assert allowance.want(now).amount + allowance.level(now) > 5.0
    allowance.ask(10.0, now)
    assert allowance.want(now).amount + allowance.level(now) >= 40.0


def test_what_is_no_longer_needed_is_given_back():
    """But not for every lull."""
    now = NS_PER_S
    allowance = filled(now, 30.0)
    allowance.use(8.0, now)
    assert allowance.want(now).amount >= 0.0
    late = now + 600 * NS_PER_S
    assert allowance.want(late).amount < -10.0


def test_a_request_dearer_than_a_part_of_the_bucket_can_be_paid_for():
    """Who is refused for want of it asks for that much."""
    allowance = filled(0, 0.0)
    allowance.ask(90.0, 0)
    assert allowance.want(0).amount >= 90.0


def test_overspending_is_topped_up_as_well():
    """What requests in flight cost beyond their estimates comes out of the bucket."""
    allowance = filled(0, 1.0)
    allowance.use(5.0, 0)
    assert allowance.level(0) == -4.0
    assert allowance.want(0).amount > 4.0
