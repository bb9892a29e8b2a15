"""The endpoint that a prefix was last sent to."""

from router.policy.prefix import marks_of
from router.policy.prefix_owners import PrefixOwners


def _prompt(*parts: range) -> list[int]:
    return marks_of(tuple(block for part in parts for block in part))


def test_the_longest_known_prefix_names_its_endpoint():
    """Two customers share a system prompt; each has its own context."""
    owners = PrefixOwners(10_000)
    owners.add(_prompt(range(40), range(1000, 1100)), "a")
    owners.add(_prompt(range(40), range(2000, 2100)), "b")
    assert owners.find(_prompt(range(40), range(1000, 1100), range(5000, 5050)), 40) == "a"
    assert owners.find(_prompt(range(40), range(2000, 2100), range(5000, 5050)), 40) == "b"


def test_what_everybody_shares_names_nobody():
    """And neither does a prompt that nobody had."""
    owners = PrefixOwners(10_000)
    owners.add(_prompt(range(40), range(1000, 1100)), "a")
    assert owners.find(_prompt(range(40), range(3000, 3100)), 40) is None
    assert owners.find(_prompt(range(7000, 7100)), 0) is None
    assert owners.find([], 0) is None


def test_the_table_stays_within_its_bound_and_one_prompt():
    """The oldest prompts are forgotten."""
    owners = PrefixOwners(100)
    for number in range(1000):
        owners.add(_prompt(range(1000 * number, 1000 * number + 20)), "a")
    assert len(owners) <= 100 + 2 * 20
    assert owners.find(_prompt(range(20)), 0) is None
