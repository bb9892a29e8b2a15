"""What the tests of the policy share."""

import random

import pytest


@pytest.fixture
def rng() -> random.Random:
    """A source of randomness that is the same in every run."""
    return random.Random(20231101)
