"""One authority, and a replica that accepts one router, for all tests of a file."""

import pytest

from tests.trust.pki import FRONT, RIDGE, Pki
from tests.trust.processes import replica


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """The authority of the fleet."""
    return Pki(tmp_path_factory.mktemp("fleet") / "authority")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Somebody else's authority."""
    return Pki(tmp_path_factory.mktemp("foreign") / "authority")


@pytest.fixture(scope="module")
def ridge(pki):
    """The address of a replica that shows RIDGE and accepts FRONT."""
    with replica(pki.issue(RIDGE), pki.certificate, [FRONT]) as address:
        yield address
