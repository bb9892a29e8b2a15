"""The demo succeeds only if every stream is right and the story really happened."""

from dataclasses import replace

from benchmarks.demo.story import CALM_AGAIN, LOSS, SURGE
from benchmarks.demo.verdict import checks, overflow_share
from benchmarks.serving.record import Record


def turn(
    at_s: float, site: str, *, status: str = "OK", right: bool | None = True, resumed: int = 0
) -> Record:
    return Record("s", 0, "", at_s, status=status, site=site, right=right, resumed=resumed)


def story() -> list[Record]:
    """Turns of a story that went well."""
    return [
        turn(1.0, "home"),
        turn(SURGE.begins_s + 1, "home"),
        turn(SURGE.begins_s + 2, "rented"),
        turn(CALM_AGAIN.begins_s + 1, "rented"),
        turn(CALM_AGAIN.ends_s - 1, "home"),
        turn(LOSS.begins_s + 1, "rented"),
        turn(LOSS.begins_s + 1, "home", resumed=1),
    ]


def failed(records: list[Record]) -> list[str]:
    return [check.sentence for check in checks(records, "home") if not check.holds]


def test_a_story_that_went_well_fails_no_check():
    """Overflow right after a surge is part of it."""
    assert failed(story()) == []


def test_a_broken_stream_fails():
    """Whatever status it got."""
    records = [*story(), turn(2.0, "home", status="UNAVAILABLE", right=None)]
    assert failed(records) == [
        "7 of 8 streams arrived complete",
        "7 of 8 equal their known right answer",
    ]


def test_a_wrong_answer_fails():
    """And so does one that nobody could check."""
    assert failed([*story(), turn(2.0, "home", right=False)]) == [
        "7 of 8 equal their known right answer"
    ]
    assert len(failed([*story(), turn(2.0, "home", right=None)])) == 1


def test_a_surge_that_home_served_fails():
    """Then nothing was shown."""
    records = [replace(record, site="home") for record in story()]
    assert failed(records) == ["the surge overflowed: 0% of its turns"]


def test_calm_that_overflows_fails():
    """Home is to be used first, and to be returned to."""
    early = [turn(2.0, "rented")]
    late = [turn(CALM_AGAIN.ends_s - 0.5, "rented")]
    assert failed([*story(), *early]) == ["calm stayed home: 50% overflowed"]
    assert failed([*story(), *late]) == ["calm came back: 50% of the last turns at home"]


def test_no_turns_at_all_fails():
    """An empty story is no success."""
    assert len(failed([])) >= 3


def test_refused_turns_count_for_no_site():
    """They say nothing of where work went."""
    assert overflow_share([turn(1.0, ""), turn(1.0, "rented"), turn(1.0, "home")], "home") == 0.5


def test_a_blow_that_no_stream_felt_fails():
    """Then it was not in the middle of anything."""
    unharmed = [replace(record, resumed=0) for record in story()]
    assert failed(unharmed) == ["0 streams resumed, tokens lost 0"]


def test_a_lost_token_fails():
    """Whatever the status says."""
    short = replace(story()[0], ttft_s=0.1, wanted_tokens=12, output_tokens=10)
    assert failed([*story(), short]) == ["1 streams resumed, tokens lost 2"]
