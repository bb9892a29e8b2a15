"""Helm's process ends with the tests."""

import pytest

from tests.deploy import helm


@pytest.fixture(scope="session", autouse=True)
def _helm_ends():
    yield
    helm.end()
