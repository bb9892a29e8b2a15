"""What the clients saw becomes a row, and a row that breaks a promise becomes a sentence."""

from array import array
from dataclasses import replace

from benchmarks.chaos.faults import DRAIN, ENGINE_KILLED
from benchmarks.chaos.measure import result_of
from benchmarks.chaos.stream import Question, Seen
from benchmarks.chaos.table import misses

WANTED = tuple(b" 8 9 10 11 12 13 14")
QUESTION = Question("count from 7", WANTED, bytes(WANTED).decode())
STRUCK_S, HEALED_S = 10.0, 13.0


def seen(begun_s=9.0, *, gap_s=0.01, **fields):
    """A stream of right tokens with one gap of this length, right after the strike."""
    arrived = [STRUCK_S - 0.01, STRUCK_S - 0.01 + gap_s]
    whole = {"token_ids": list(WANTED), "text": QUESTION.text, "counted": len(WANTED)}
    return Seen(QUESTION, begun_s, arrived_s=array("d", arrived), **(whole | fields))


def row(streams, probes=(), fault=ENGINE_KILLED, dead=""):
    return result_of(fault, dead, streams, probes, STRUCK_S, HEALED_S)


def test_a_run_without_harm_misses_nothing():
    """Resumed streams are no harm."""
    result = row([seen(), seen(resumed=1, gap_s=0.1)], [seen(11.0, attempts=1)])
    assert list(misses([result])) == []
    assert (result.streams, result.probes, result.resumed) == (2, 1, 1)
    assert round(result.pause_p50_s, 3) == 0.1


def test_only_resumed_streams_have_pauses():
    """A slow stream that nothing happened to is told as a silence."""
    result = row([seen(gap_s=3.0), seen(resumed=1, gap_s=0.2)])
    assert round(result.pause_p99_s, 3) == 0.2
    assert round(result.silence_max_s, 3) == 3.0


def test_a_lost_token_an_error_and_a_long_pause_are_missed_promises():
    """Each with its own sentence."""
    short = seen(token_ids=list(WANTED[:-2]), text=QUESTION.text[:-2])
    failed = seen(token_ids=[], text="", status="UNAVAILABLE", detail="gone")
    result = row([short, failed, seen(resumed=1, gap_s=0.9)])
    sentences = list(misses([result]))
    assert [sentence.split(": ")[1] for sentence in sentences] == [
        "2 tokens lost, 0 repeated, 0 wrong",
        "1 UNAVAILABLE where a healthy site had room",
        "a pause p99 of 0.90 s, above 0.5 s",
    ]


def test_an_answer_whose_count_is_off_is_wrong():
    """The last message's own account has to fit."""
    assert row([seen(counted=len(WANTED) - 1)]).wrong == 1


def test_what_is_left_or_found_broken_is_missed():
    """In the words of whoever found it."""
    result = replace(row([seen()]), left=["1 streams open"], broken=["it grew"])
    assert len(list(misses([result]))) == 2


def test_new_requests_that_meet_the_dead_tell_how_long_it_was_not_avoided():
    """By a failed attempt, by an error, or by being sent to a site that was to be left alone."""
    probes = [
        seen(10.2, attempts=2),
        seen(10.5, attempts=1, endpoint="far/1.2.3.4:5"),
        seen(12.0, attempts=1, endpoint="near/1.2.3.4:5"),
        seen(14.0, attempts=3),  # after the heal
    ]
    result = row([seen()], probes, DRAIN, dead="far/")
    assert round(result.avoided_after_s, 3) == 0.5
    assert result.failed_attempts_max == 1
    assert round(row([seen()], probes).avoided_after_s, 3) == 0.2
