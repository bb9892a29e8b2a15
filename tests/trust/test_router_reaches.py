"""A router reaches the sites of its fleet file, and nobody in their place."""

import pytest

from tests.trust.pki import FRONT, RIDGE
from tests.trust.processes import (
    answer_of,
    client,
    replica,
    router,
    site,
    tls_of,
    until_up,
)

CELLAR = "cellar.sites.example.org"


@pytest.fixture
def front(pki):
    """The router's certificate: its identity to sites, and its address to clients."""
    return pki.issue(FRONT, "127.0.0.1")


def test_streams_come_from_the_site_that_is_meant(ridge, pki, front, tmp_path):
    """Another site of the same authority at the wrong address gets nothing, and others go on."""
    sites = {
        "ridge": site(ridge, pki.certificate, RIDGE),
        "cellar": site("127.0.0.1:1", pki.certificate, CELLAR),
    }
    with replica(pki.issue("mountain.sites.example.org"), pki.certificate, [FRONT]) as mountain:
        sites["cellar"]["endpoints"] = [mountain]
        with (
            router(tmp_path, sites, tls=tls_of(front, pki.certificate)) as routed,
            client(routed, pki.certificate) as asking,
        ):
            until_up(asking, ridge)
            for number in range(4):
                answer = asking.generate(f"Count from {number}", max_new_tokens=4)
                assert (answer.num_tokens, answer.ending.site) == (4, "ridge")
            until_up(asking, ridge)


def test_a_site_of_another_name_is_refused_in_the_handshake(ridge, pki, front):
    """Nothing is sent to it, not even who asks."""
    code, words = answer_of(ridge, pki.certificate, front, CELLAR)
    assert code.name == "UNAVAILABLE"
    assert "Hostname Verification Check failed" in words


def test_a_site_of_another_authority_is_refused(ridge, foreign, front):
    """Whatever its name."""
    code, words = answer_of(ridge, foreign.certificate, front, RIDGE)
    assert code.name == "UNAVAILABLE"
    assert "CERTIFICATE_VERIFY_FAILED" in words


def test_a_site_whose_certificate_has_expired_is_refused(pki, front):
    """Though it is of the right authority and name."""
    expired = pki.issue(RIDGE, days_ago=10, days=1)
    with replica(expired, pki.certificate, [FRONT]) as address:
        code, words = answer_of(address, pki.certificate, front, RIDGE)
    assert code.name == "UNAVAILABLE"
    assert "CERTIFICATE_VERIFY_FAILED" in words


def test_a_site_in_plaintext_is_refused_where_tls_is_expected(pki, front):
    """Nobody on the way can talk a router out of TLS."""
    with replica() as address:
        assert answer_of(address) == "f"
        code, _ = answer_of(address, pki.certificate, front, RIDGE)
    assert code.name == "UNAVAILABLE"
