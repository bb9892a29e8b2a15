"""What a tenant's requests are made to say."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy import entitlement
from router.policy.fleet import Tenant

_tenants = st.builds(
    Tenant,
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,5}", fullmatch=True),
    shares_cache=st.booleans(),
)


@given(_tenants, st.text(max_size=12), _tenants, st.text(max_size=12))
def test_salts_of_two_tenants_meet_only_where_both_share(one, its_salt, other, others_salt):
    """Whatever salt a client asks for, it cannot name another tenant's."""
    first = entitlement.cache_salt(one, its_salt)
    second = entitlement.cache_salt(other, others_salt)
    if first == second:
        assert its_salt == others_salt
        assert one.name == other.name or (one.shares_cache and other.shares_cache)


def test_a_priority_is_no_better_than_the_ceiling():
    """Lower goes first; a tenant without a ceiling asks as it likes."""
    assert entitlement.priority(Tenant("a", priority_ceiling=0), -5) == 0
    assert entitlement.priority(Tenant("a", priority_ceiling=0), 3) == 3
    assert entitlement.priority(Tenant("a"), -5) == -5
