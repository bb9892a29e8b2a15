"""A rented site's lease ends: when it is to be left, so that nothing breaks when it goes.

At the end the machines are gone, whatever runs there. So the site drains before: new turns stay
away at once, streams that run there have the router's drain timeout to finish and then go on
elsewhere, and those that cannot, such as an answer that comes whole, have the time of a turn.
"""


def drains_at(until_unix_ns: int, drain_ns: int, margin_ns: int) -> int:
    """When the drain of a site begins whose lease ends then; times of the wall clock."""
    return until_unix_ns - drain_ns - margin_ns


def is_ending(until_unix_ns: int, drain_ns: int, margin_ns: int, unix_ns: int) -> bool:
    """Whether the site takes no new turns at this time."""
    return unix_ns >= drains_at(until_unix_ns, drain_ns, margin_ns)
