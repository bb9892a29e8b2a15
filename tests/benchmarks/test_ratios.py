"""How one result stands to another, and what chance alone could have made of it."""

import random

import pytest

from benchmarks import compare
from benchmarks.ratios import UnlikeError, ratios
from benchmarks.report import write_json


def serving(scale=1.0, sessions=60, seed=1):
    """A run of `benchmarks.serving` whose latencies are so many times those of another."""
    rng = random.Random(seed)
    turns = [
        {
            "session": f"s{number // 2}",
            "status": "OK",
            "ttft_s": (ttft := scale * rng.uniform(0.05, 0.15)),
            "end_to_end_s": ttft + scale * 0.4,
            "output_tokens": 21,
        }
        for number in range(2 * sessions)
    ]
    turns.append({**turns[0], "status": "UNAVAILABLE", "ttft_s": None})
    return {"turns": turns, "summary": {"duration_s": 10.0}, "options": {"rate": scale}}


def repeats(*costs):
    """A result of repeats, with a name, a flag and a figure each."""
    return {
        "measured": [
            {"middle": "ours", "tls": True, "repeat": n, "cpu_us": cost}
            for n, cost in enumerate(costs)
        ]
    }


def named(found, measure):
    return next(one for one in found if one.measure == measure)


def test_twice_as_slow_is_seen_to_be():
    """The spread is about the ratio, and does not reach 1."""
    one = named(ratios(serving(), serving(2.0, seed=2)), "TTFT p50, s")
    assert one.value == pytest.approx(2.0, rel=0.2)
    assert 1.5 < one.spread[0] < one.value < one.spread[1] < 2.5
    assert one.verdict == "higher"
    assert named(ratios(serving(2.0), serving()), "TTFT p50, s").verdict == "lower"


def test_two_runs_of_the_same_show_no_difference():
    """Though none of their figures are equal."""
    one = named(ratios(serving(), serving(seed=7)), "TTFT p50, s")
    assert one.value != 1
    assert one.verdict == "no difference shown"


def test_repeats_are_compared_by_their_medians():
    """Under all that names them; a result that has one repeat has no spread."""
    (one,) = ratios(repeats(10, 11, 12), repeats(20, 22, 24))
    assert one.measure == "ours True: cpu_us"
    assert one.value == pytest.approx(2.0)
    assert one.verdict == "higher"
    (one,) = ratios(repeats(10), repeats(20, 22))
    assert (one.spread, one.verdict) == (None, "once each")


def test_other_results_are_compared_figure_by_figure():
    """Where both have one; how they were asked for is none of their figures."""
    before = {"faces": {"native": {"us": 2.0}}, "list": [1, 2], "options": {"seed": 1}, "x": True}
    after = {"faces": {"native": {"us": 3.0}, "openai": {"us": 4.0}}, "list": [1], "options": {}}
    found = ratios(before, after)
    assert [(one.measure, one.value) for one in found] == [("faces.native.us", 1.5), ("list[0]", 1)]


def test_what_was_nothing_before_has_no_ratio():
    """It is shown all the same."""
    (one,) = ratios({"a": 0}, {"a": 3})
    assert one.value is None


def test_results_with_nothing_in_common_are_no_pair():
    """The command says so, and which file it cannot read."""
    with pytest.raises(UnlikeError, match="no figure in common"):
        ratios({"a": 1}, {"b": 1})


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read"),
        ("{", "is no JSON"),
        ("[]", "is no result"),
        ("{}", "no figure in common"),
        ('{"turns": [{}], "summary": {"duration_s": 1}}', "is no result of ours"),
        ('{"turns": [3], "summary": {}}', "is no result of ours"),
    ],
)
def test_the_command_says_in_a_sentence_what_it_cannot_compare(
    tmp_path, capsys, content, complaint
):
    """And ends with 2."""
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    write_json(good, serving())
    if content is not None:
        bad.write_text(content)
    assert compare.main([str(good), str(bad)]) == compare.EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_the_command_tells_what_else_differs(tmp_path, capsys):
    """A ratio between two machines is not one between two versions."""
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    write_json(a, serving())
    write_json(b, serving(2.0))
    b.write_text(b.read_text().replace('"cores": ', '"cores": 9'))
    assert compare.main([str(a), str(b), "--html", str(tmp_path / "c.html")]) == 0
    said = capsys.readouterr().out
    assert "TTFT p50, s" in said
    assert "The machines differ" in said
    assert "The option rate differs: 1.0, 2.0." in said
    assert "The machines differ" in (tmp_path / "c.html").read_text()
