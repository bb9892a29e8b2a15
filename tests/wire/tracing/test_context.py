"""W3C trace context as it comes and goes: what is none is taken for none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.tracing.context import TraceContext, read_trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def read(*pairs):
    return read_trace_context(pairs)


def test_a_context_is_read_and_written_as_it_came():
    """Ids, flags and state."""
    pairs = (("traceparent", PARENT), ("tracestate", "a=1,b@c=2"))
    found = read(("x-other", "y"), *pairs)
    assert (found.trace_hex, found.sampled, found.state) == (TRACE, True, "a=1,b@c=2")
    assert found.metadata == pairs


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00-1-2-01",
        PARENT.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}é-{SPAN}-01",
        PARENT.encode(),
    ],
)
def test_what_is_no_parent_is_no_context(parent):
    """Nor is its state passed on."""
    assert read(("traceparent", parent), ("tracestate", "a=1")) is None


def test_of_two_parents_neither_is_believed():
    """Nobody can say which was meant."""
    assert read(("traceparent", PARENT), ("traceparent", PARENT)) is None


def test_a_later_version_is_read_as_far_as_it_is_known():
    """As the specification wants, and passed on as the version that is known."""
    found = read(("traceparent", f"01-{TRACE}-{SPAN}-01-more"))
    assert found.metadata == (("traceparent", PARENT),)


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (("a=1 , b=2",), "a=1,b=2"),
        (("a=1", "b=2"), "a=1,b=2"),
        (("a=1,,b=2",), "a=1,b=2"),
        (("a",), ""),
        (("A=1",), ""),
        (("a=1,a=2",), ""),
        (("a=\x7f",), ""),
        ((b"a=1",), ""),
        ((",".join(f"k{n}=1" for n in range(33)),), ""),
        (("a=" + "x" * 256 + ",b=" + "x" * 256,), ""),
    ],
)
def test_a_state_is_kept_whole_or_not_at_all(states, kept):
    """The context itself is not in doubt for it."""
    found = read(("traceparent", PARENT), *(("tracestate", state) for state in states))
    assert found.trace_hex == TRACE
    assert found.state == kept


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate"]), st.text(max_size=80))))
def test_whatever_comes_is_read_without_harm(pairs):
    """And what goes on can be sent by gRPC, and is read by the next as it was meant."""
    found = read_trace_context(pairs)
    if found is not None:
        assert all(value.isascii() and value.isprintable() for _, value in found.metadata)
        assert read_trace_context(found.metadata) == found


@given(
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.integers(0, 255),
    st.sampled_from(["", "a=1", "t@v=x y,b=2"]),
)
def test_any_context_survives_the_way(trace, span, flags, state):
    """Bit for bit."""
    context = TraceContext(trace, span, flags, state)
    assert read_trace_context(context.metadata) == context
