"""What nearly every request shares."""

from router.policy.hot_prefix import HotPrefix
from router.policy.prefix import marks_of


def _asked(system: int, own: int) -> list[int]:
    return marks_of((*range(system), *range(10**6 * (own + 1), 10**6 * (own + 1) + 20)))


def test_a_system_prompt_is_found_to_be_shared():
    """After a few requests its blocks count, and what follows them does not."""
    hot = HotPrefix(0.5)
    for number in range(100):
        hot.add(_asked(40, number))
    assert hot.shared_blocks(_asked(40, 7)) == 40
    assert hot.shared_blocks(marks_of(tuple(range(500, 600)))) == 0


def test_one_customer_among_many_is_not_everybody():
    """A prefix that a tenth of the requests share keeps its weight."""
    hot = HotPrefix(0.5)
    for number in range(200):
        hot.add(marks_of(tuple(range(1000 * (number % 10), 1000 * (number % 10) + 40))))
    assert hot.shared_blocks(marks_of(tuple(range(40)))) == 0


def test_a_new_system_prompt_replaces_the_old_one_within_the_period():
    """The counts follow the traffic."""
    hot = HotPrefix(0.5)
    for number in range(2000):
        hot.add(_asked(40, number))
    for number in range(2000):
        hot.add(marks_of((*range(700, 760), 10**7 + number)))
    assert hot.shared_blocks(marks_of(tuple(range(700, 760)))) >= 52
    assert hot.shared_blocks(_asked(40, 7)) == 0


def test_the_table_stays_small():
    """A hundred thousand different prompts leave a bounded number of counts."""
    hot = HotPrefix(0.5)
    for number in range(20_000):
        hot.add(_asked(0, number))
    assert len(hot) <= 2_048
