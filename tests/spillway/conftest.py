"""A fake router and a fake replica behind real gRPC."""

import pytest

from tests.spillway.fake_router import FakeRouter, serving


@pytest.fixture
def router():
    """A fake router that runs."""
    with serving(FakeRouter()) as found:
        yield found


@pytest.fixture
def replica():
    """A fake replica that runs: it serves no fleet."""
    with serving(FakeRouter(), fleet=False) as found:
        yield found
