"""A summary says what the records say."""

from array import array

import pytest

from benchmarks.serving.picture import shares_over_time
from benchmarks.serving.record import Record
from benchmarks.serving.summary import Objective, quantile, summarize

OBJECTIVE = Objective(ttft_s=1.0, itl_s=0.1)


def record(**changes):
    values = {
        "session": "s",
        "turn": 0,
        "phase": "",
        "intended_s": 0.0,
        "ttft_s": 0.5,
        "gaps_s": array("f", [0.05] * 9),
        "end_to_end_s": 1.0,
        "output_tokens": 10,
        "site": "home",
        "right": True,
    }
    return Record(**{**values, **changes})


def test_goodput_counts_turns_that_were_whole_right_and_in_time():
    """Late, slow, wrong and failed turns are no goodput."""
    records = [
        record(),
        record(ttft_s=1.1),
        record(gaps_s=array("f", [0.2] * 9)),
        record(right=False),
        record(status="UNAVAILABLE", ttft_s=None),
    ]
    summary = summarize(records, OBJECTIVE)
    assert summary.slo_attainment == pytest.approx(0.2)
    assert summary.goodput_turns_per_s == pytest.approx(1.0)
    assert summary.errors == {"UNAVAILABLE": 1}
    assert (summary.turns, summary.completed, summary.wrong) == (5, 4, 1)


def test_shares_are_of_completed_turns():
    """A failed turn belongs to no site's share."""
    records = [record(), record(site="rented"), record(site="", status="UNAVAILABLE")]
    assert summarize(records, OBJECTIVE).share_by_site == {"home": 0.5, "rented": 0.5}


def test_an_empty_run_has_a_summary():
    """Nothing measured is zeros, not an exception."""
    summary = summarize([], OBJECTIVE)
    assert (summary.turns, summary.ttft_s.p99, summary.slo_attainment) == (0, 0.0, 0.0)


def test_quantiles_are_interpolated():
    """The median of two values lies between them; of one it is that value."""
    assert quantile([1.0, 3.0], 0.5) == 2.0
    assert quantile([7.0], 0.99) == 7.0
    assert quantile([], 0.5) == 0.0


def test_time_per_output_token_leaves_out_the_first():
    """Nine tokens after the first in half a second."""
    assert record().time_per_output_token_s == pytest.approx(0.5 / 9)
    assert record(output_tokens=1).time_per_output_token_s is None


def test_the_picture_s_shares_add_up_where_there_are_turns():
    """Each bin of time with a turn in it is shared out whole."""
    records = [record(intended_s=float(at)) for at in range(10)]
    records += [record(intended_s=float(at), site="rented") for at in range(5, 10)]
    _edges, shares = shares_over_time(records, ["home", "rented"])
    totals = {round(sum(column), 6) for column in zip(*shares, strict=True)}
    assert totals == {0.0, 1.0}
