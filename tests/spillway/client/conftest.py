"""What tests of the client set for the router that they start."""

import pytest

from tests.router.live.conftest import be_patient
from tests.spillway.client.direct_sites import KEY
from wire.lease_keys import KEYS_ENV


@pytest.fixture
def keys(monkeypatch):
    """The router's key, as the environment gives it."""
    monkeypatch.setenv(KEYS_ENV, KEY)


@pytest.fixture
def patient(monkeypatch):
    """Routers that give up no stream for its silence."""
    be_patient(monkeypatch)
