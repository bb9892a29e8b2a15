"""Routers behind any face."""

import pytest

from tests.router.live.conftest import be_patient


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What a router does about silences is not its faces' matter."""
    be_patient(monkeypatch)
