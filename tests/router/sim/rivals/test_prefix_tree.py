"""The approximate prefix tree: longest matches, bounded by size or age."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.request import Request
from router.sim.rivals.prefix_tree import PrefixTree


def prompt(*blocks, id_="r", rest=0):
    return Request(id_, "m", prompt_tokens=16 * len(blocks) + rest, prefix=blocks)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=20))
def test_the_match_is_the_longest_common_prefix_with_anything_sent(prompts):
    """Against comparing with every prompt; names are chained, as block hashes are."""
    chained = [tuple(hash(tuple(p[: i + 1])) for i in range(len(p))) for p in map(tuple, prompts)]
    tree = PrefixTree()
    for blocks in chained[1:]:
        tree.add("a", prompt(*blocks), 0)
    longest = max(
        (sum(x == y for x, y in zip(chained[0], c, strict=False)) for c in chained[1:]), default=0
    )
    assert tree.matched_tokens("a", prompt(*chained[0])) == 16 * longest


def test_the_best_are_all_endpoints_with_the_longest_match():
    """Ties are all named; an endpoint without a match is not."""
    tree = PrefixTree()
    for endpoint in ("a", "b"):
        tree.add(endpoint, prompt(1, 2), 0)
    tree.add("c", prompt(1, 9), 0)
    assert tree.best(prompt(1, 2, 3), ["a", "b", "c", "d"]) == (32, ["a", "b"])
    assert tree.best(prompt(7), ["a", "b", "c", "d"]) == (0, [])


def test_a_full_tree_gives_up_what_was_used_longest_ago_tails_first():
    """The head of a prompt outlives its tail."""
    tree = PrefixTree(tokens_max=48)
    tree.add("a", prompt(1, 2, 3), 0)
    tree.add("a", prompt(1, 5), 1)
    assert tree.matched_tokens("a", prompt(1, 5)) == 32
    assert tree.matched_tokens("a", prompt(1, 2, 3)) == 32
    tree.add("a", prompt(8, id_="q", rest=4), 2)
    assert tree.matched_tokens("a", prompt(1, 2, 3)) == 16
    assert tree.tokens("a") <= 48


def test_age_drops_what_was_not_used():
    """A prompt is forgotten after its age, one used since is not."""
    tree = PrefixTree(age_max_ns=10)
    tree.add("a", prompt(1), 0)
    tree.add("a", prompt(2), 5)
    tree.expire(12)
    assert tree.matched_tokens("a", prompt(1)) == 0
    assert tree.matched_tokens("a", prompt(2)) == 16


def test_nameless_tokens_count_for_the_size_alone():
    """Prompts without hashes make a tree larger, and match nothing."""
    tree = PrefixTree()
    tree.add("a", Request("r", "m", prompt_tokens=100), 0)
    tree.add("b", prompt(1), 0)
    assert (tree.tokens("a"), tree.tokens("b")) == (100, 16)
    assert tree.smallest(["a", "b"]) == ["b"]
