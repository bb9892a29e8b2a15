"""Recursive least squares with forgetting."""

import random

from hypothesis import given
from hypothesis import strategies as st

from router.policy.least_squares import LeastSquares


def _fed(model: LeastSquares, truth: list[float], count: int, rng: random.Random) -> None:
    for _ in range(count):
        x = [1.0, rng.uniform(0, 3), rng.uniform(0, 2)]
        y = sum(c * v for c, v in zip(truth, x, strict=True)) * rng.uniform(0.9, 1.1)
        model.add(x, y)


def _near(model: LeastSquares, truth: list[float], tolerance: float) -> bool:
    return all(abs(c - t) < tolerance for c, t in zip(model.coefficients, truth, strict=True))


def test_it_finds_the_coefficients_of_a_noisy_line(rng):
    """A hundred observations with ten per cent of noise are enough."""
    model = LeastSquares([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    _fed(model, [0.2, 1.5, 0.7], 150, rng)
    assert _near(model, [0.2, 1.5, 0.7], 0.15)


def test_it_follows_a_change(rng):
    """An engine that became three times slower is believed to be so within its memory."""
    model = LeastSquares([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    _fed(model, [0.2, 0.5, 0.7], 200, rng)
    _fed(model, [0.2, 1.5, 0.7], 200, rng)
    assert _near(model, [0.2, 1.5, 0.7], 0.25)


def test_one_absurd_observation_moves_it_little(rng):
    """A stalled process gave a target a hundred times too high, once."""
    model = LeastSquares([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    _fed(model, [0.2, 1.0, 0.7], 200, rng)
    model.add([1.0, 1.0, 1.0], 190.0)
    assert _near(model, [0.2, 1.0, 0.7], 0.4)


def test_a_direction_that_is_never_excited_keeps_its_prior(rng):
    """Ten thousand requests that never wait teach nothing about waiting, and break nothing."""
    model = LeastSquares([0.5, 0.5, 0.8], [1.0, 1.0, 1.0])
    for _ in range(10_000):
        x = rng.uniform(0, 2)
        model.add([1.0, x, 0.0], 0.3 + x)
    assert abs(model.coefficients[2] - 0.8) < 1e-6
    model.add([1.0, 1.0, 1.0], 2.3)
    assert abs(model.coefficients[2] - 1.0) < 0.5


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1e4)),
        max_size=200,
    )
)
def test_no_input_makes_it_diverge(observed):
    """Coefficients stay finite whatever is fed."""
    model = LeastSquares([0.1, 0.1, 1.0], [1.0, 2.0, 0.5])
    for x, z, y in observed:
        model.add([1.0, x, z], y)
    assert all(abs(c) < 1e9 for c in model.coefficients)
