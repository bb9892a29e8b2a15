"""API keys: who shows one, from when until when."""

import string

from hypothesis import given
from hypothesis import strategies as st

from router.policy.api_key import ApiKey, Fault, KeyRing, digest_of, id_of, key_text

TEXT = key_text(bytes(range(6)), "a" * 43)
OTHER = key_text(bytes(range(6)), "b" * 43)


def kept(text=TEXT, **more):
    return ApiKey(id_of(text), digest_of(text), "acme", **more)


def test_the_holder_of_a_key_is_its_tenant():
    """The whole key is needed: its id alone, or with another secret, opens nothing."""
    ring = KeyRing([kept()])
    assert ring.find(TEXT, 0.0) == kept()
    assert ring.find(OTHER, 0.0) is Fault.UNKNOWN
    assert ring.find(TEXT[:-1], 0.0) is Fault.UNKNOWN
    assert ring.find(f"{TEXT}\n", 0.0) is Fault.UNKNOWN


def test_a_key_is_good_from_its_first_second_until_before_its_last():
    """Both bounds are the fleet's to set, and a key without them is good for ever."""
    ring = KeyRing([kept(not_before_unix_s=10.0, not_after_unix_s=20.0)])
    assert ring.find(TEXT, 9.9) is Fault.NOT_YET
    assert isinstance(ring.find(TEXT, 10.0), ApiKey)
    assert isinstance(ring.find(TEXT, 19.9), ApiKey)
    assert ring.find(TEXT, 20.0) is Fault.EXPIRED


def test_a_wrong_secret_does_not_learn_that_a_key_has_ended():
    """Who does not hold it hears the same as of a key that never was."""
    ring = KeyRing([kept(not_after_unix_s=1.0)])
    assert ring.find(OTHER, 2.0) is Fault.UNKNOWN


def test_keys_of_one_tenant_overlap():
    """While it changes from one to the other, both open."""
    other = key_text(b"second", "c" * 43)
    ring = KeyRing([kept(not_after_unix_s=20.0), kept(other, not_before_unix_s=10.0)])
    assert all(isinstance(ring.find(text, 15.0), ApiKey) for text in (TEXT, other))


@given(
    st.text(max_size=200) | st.text(string.ascii_letters + "_-", max_size=80).map("spw_".__add__)
)
def test_nothing_else_opens(text):
    """Whatever is shown, it is answered, and it is no key."""
    if text != TEXT:
        assert KeyRing([kept()]).find(text, 0.0) is Fault.UNKNOWN
