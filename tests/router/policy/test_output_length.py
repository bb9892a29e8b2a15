"""The expected length of an output."""

from router.policy.output_length import OutputLength


def test_before_anything_is_known_half_the_limit_is_expected():
    """But no more than a typical answer."""
    length = OutputLength()
    assert length.expected(100) == 50
    assert length.expected(100_000) == 256
    assert length.expected(0) == 1.0


def test_it_learns_and_the_limit_bounds_it():
    """After a few outputs their mean is expected, where the request allows that much."""
    length = OutputLength()
    for tokens in (80, 100, 120):
        length.add(tokens)
    assert length.expected(1000) == 100
    assert length.expected(30) == 30


def test_it_follows_a_change_within_its_memory():
    """A class whose answers became short is known to be short after a while."""
    length = OutputLength()
    for _ in range(1000):
        length.add(500)
    for _ in range(300):
        length.add(50)
    assert length.expected(1000) < 60
