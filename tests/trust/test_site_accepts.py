"""A site accepts the routers it was told of, and nobody else."""

import grpc
import pytest

from tests.trust.pki import FRONT, RIDGE, Pki
from tests.trust.processes import answer_of

UNREACHED = grpc.StatusCode.UNAVAILABLE


def test_the_router_it_was_told_of(ridge, pki):
    """By the SPIFFE id in its certificate."""
    assert answer_of(ridge, pki.certificate, pki.issue(FRONT), RIDGE) == "f"


def test_nobody_without_a_certificate(ridge, pki):
    """The handshake fails, before anything is asked."""
    code, _ = answer_of(ridge, pki.certificate, None, RIDGE)
    assert code is UNREACHED


def test_nobody_with_a_certificate_of_another_authority(ridge, pki, foreign):
    """Whatever name it has."""
    code, _ = answer_of(ridge, pki.certificate, foreign.issue(FRONT), RIDGE)
    assert code is UNREACHED


def test_nobody_whose_certificate_has_expired(ridge, pki, tmp_path):
    """Though it is of the right authority and name."""
    code, _ = answer_of(ridge, pki.certificate, pki.issue(FRONT, days_ago=10, days=1), RIDGE)
    assert code is UNREACHED


@pytest.mark.parametrize("name", ["spiffe://example.org/router/other", RIDGE, "router", "10.0.0.5"])
def test_nobody_else_of_the_same_authority(ridge, pki, name):
    """Another router, another site, a person: each call is refused, and the log says whose."""
    code, words = answer_of(ridge, pki.certificate, pki.issue(name), RIDGE)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert f"a certificate of {name} is not accepted here" in words


def test_no_plaintext(ridge):
    """A client that leaves TLS away gets nothing."""
    code, _ = answer_of(ridge)
    assert code is UNREACHED


def test_an_authority_in_the_chain_speaks_for_nobody_else(ridge, pki, tmp_path):
    """A certificate that is not an authority's cannot sign others."""
    below = Pki.signed_by(pki.issue(FRONT), tmp_path / "below")
    code, _ = answer_of(ridge, pki.certificate, below.issue(FRONT), RIDGE)
    assert code is UNREACHED
