"""An engine's load from its steps and its requests."""

from hypothesis import given
from hypothesis import strategies as st

from serving.load_tally import LoadTally, Step


def test_arrivals_wait_until_a_step_runs_them():
    """A burst is seen before the engine has even looked at it."""
    tally = LoadTally()
    for number in range(3):
        tally.arrived(str(number), prompt_tokens=10, sequences=1)
    assert tally.load().waiting_requests == 3
    assert tally.load().queued_prefill_tokens == 30
    tally.stepped(Step(running_requests=2, kv_usage=0.5))
    assert (tally.load().running_requests, tally.load().waiting_requests) == (2, 1)
    tally.prefilled("0")
    assert tally.load().queued_prefill_tokens == 20


def test_an_abort_is_seen_without_a_step():
    """An idle engine makes no step that would say that nothing runs any more."""
    tally = LoadTally()
    tally.arrived("0", prompt_tokens=10, sequences=1)
    tally.stepped(Step(running_requests=1, kv_usage=0.5))
    tally.ended("0")
    load = tally.load()
    assert (load.running_requests, load.waiting_requests, load.kv_usage) == (0, 0, 0.0)
    assert load.queued_prefill_tokens == 0


def test_sequences_of_one_request_end_one_by_one():
    tally = LoadTally()
    tally.arrived("0", prompt_tokens=10, sequences=3)
    tally.stepped(Step(running_requests=3, kv_usage=0.5))
    tally.sequence_ended("0")
    assert tally.load().running_requests == 2
    tally.ended("0")
    assert tally.load().running_requests == 0


def test_latencies_are_recent_means():
    """Old observations fade: after ten half-lives the new ones are nearly all there is."""
    now_s = 100.0
    tally = LoadTally(clock_s=lambda: now_s)
    tally.stepped(Step(running_requests=0, kv_usage=0, ttfts_s=[1.0], itls_s=[0.1, 0.3]))
    assert tally.load().ttft_s == 1.0
    assert tally.load().itl_s == tally.itl_s_p95() == 0.2
    now_s = 150.0
    tally.stepped(Step(running_requests=0, kv_usage=0, ttfts_s=[3.0]))
    assert 2.99 < tally.load().ttft_s < 3.0
    tally.stepped(Step(running_requests=0, kv_usage=0, itls_s=[0.5]))
    assert tally.itl_s_p95() == 0.5
    now_s += 3_600.0
    assert tally.itl_s_p95() == 0.0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["arrived", "prefilled", "sequence", "ended", "step"]), st.integers(0, 4)
    ),
    max_size=60,
)


@given(EVENTS)
def test_counts_return_to_zero(events):
    """Whatever happens in whatever order, nothing is negative, and an empty engine shows as one."""
    tally, alive = LoadTally(), {}
    for kind, number in events:
        name = str(number)
        if kind == "arrived" and name not in alive:
            tally.arrived(name, prompt_tokens=7, sequences=number + 1)
            alive[name] = number + 1
        elif kind == "step":
            tally.stepped(Step(running_requests=number, kv_usage=0.1))
        elif name in alive:
            if kind == "prefilled":
                tally.prefilled(name)
            elif kind == "sequence":
                tally.sequence_ended(name)
                alive[name] = max(0, alive[name] - 1)
            elif kind == "ended":
                tally.ended(name)
                del alive[name]
        load = tally.load()
        assert load.running_requests + load.waiting_requests == sum(alive.values())
        assert min(load.running_requests, load.waiting_requests, load.queued_prefill_tokens) >= 0
    for name in list(alive):
        tally.ended(name)
    assert tally.load().queued_prefill_tokens == tally.load().waiting_requests == 0
