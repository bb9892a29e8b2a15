"""The decision log on disk."""

import threading

import pytest

from router.observe import decision_log
from router.observe.decision_log import DecisionLog, read_log
from router.observe.event import Event, RequestArrived, Started, Ticked
from router.observe.lines import LineError, to_line
from router.policy.request import Request
from tests.router.observe.events import history
from tests.waiting import DEADLINE_S, wait_until


def write(path, events, bytes_max=10**9, files_max=3):
    log = DecisionLog(path, bytes_max, files_max)
    log.start()
    for event in events:
        log.on_event(event)
    log.close()
    return log


def ticks(first, last):
    return [Event(number, number, Ticked()) for number in range(first, last)]


def test_what_is_written_is_read(tmp_path):
    log = write(tmp_path / "sub" / "log.jsonl", history())
    assert list(read_log(tmp_path / "sub" / "log.jsonl")) == history()
    assert (log.dropped, log.error) == (0, None)


def test_files_are_bounded_in_size_and_number(tmp_path):
    """The oldest is dropped; what is left is read in order."""
    path = tmp_path / "log.jsonl"
    write(path, ticks(0, 1_000), bytes_max=5_000)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]
    assert all(file.stat().st_size <= 5_000 for file in tmp_path.iterdir())
    numbers = [event.sequence for event in read_log(path)]
    assert numbers == list(range(numbers[0], 1_000))
    assert 150 < len(numbers) < 300


def test_one_file_is_possible(tmp_path):
    write(tmp_path / "log.jsonl", ticks(0, 500), bytes_max=5_000, files_max=1)
    assert [file.name for file in tmp_path.iterdir()] == ["log.jsonl"]


def test_each_start_begins_a_new_file_and_reading_begins_at_the_last(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, history(seed=1), files_max=9)
    write(path, history(seed=2), bytes_max=10_000, files_max=9)
    assert (tmp_path / "log.jsonl.2").exists()
    events = list(read_log(path))
    assert events == history(seed=2)
    assert isinstance(events[0].happening, Started)


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    write(path, ticks(0, 3))
    path.write_bytes(path.read_bytes()[:-5])
    assert [event.sequence for event in read_log(path)] == [0, 1]


def test_a_broken_line_is_an_error(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(to_line(ticks(0, 1)[0]) + b"broken\n")
    with pytest.raises(LineError, match="broken"):
        list(read_log(path))


def test_a_disk_that_fails_loses_events_and_nothing_else(tmp_path):
    """They are counted, and the error is told."""
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path, 10**9, 3)
    log.start()
    path.unlink()
    path.mkdir()
    for event in ticks(0, 10):
        log.on_event(event)
    log.close()
    assert log.dropped == 10
    assert isinstance(log.error, OSError)


def test_a_stalled_disk_holds_up_nobody(tmp_path, monkeypatch):
    """What waits is bounded; the rest is dropped at once and counted."""
    monkeypatch.setattr(decision_log, "PENDING_MAX", 10)
    log = DecisionLog(tmp_path / "log.jsonl", 10**9, 3)
    stalled = threading.Event()
    monkeypatch.setattr(log, "_write_lines", lambda _lines: stalled.wait(DEADLINE_S))
    log.start()
    for event in ticks(0, 2_000):
        log.on_event(event)
    assert log.dropped >= 1_000
    stalled.set()
    log.close()


def test_long_prompts_that_wait_are_bounded_by_their_blocks(tmp_path, monkeypatch):
    """Ten of a thousand blocks each fit; an event without any still does beside them."""
    monkeypatch.setattr(decision_log, "PENDING_BLOCKS_MAX", 10_000)
    log = DecisionLog(tmp_path / "log.jsonl", 10**9, 3)
    long = Request("r", "", prefix=tuple(range(1_000)))
    for number in range(15):
        log.on_event(Event(number, number, RequestArrived(long)))
    log.on_event(ticks(15, 16)[0])
    assert log.dropped == 5
    log.start()
    log.close()
    assert [event.sequence for event in read_log(tmp_path / "log.jsonl")] == [*range(10), 15]


def test_an_event_that_makes_no_line_loses_its_batch_and_nothing_else(tmp_path, caplog):
    """What comes later is written, and the log says once what was wrong."""
    path = tmp_path / "log.jsonl"
    log = DecisionLog(path, 10**9, 3)
    log.on_event(Event(0, 0, object()))
    log.start()
    wait_until(lambda: log.dropped)
    log.on_event(ticks(1, 2)[0])
    log.close()
    assert log.dropped == 1
    assert [event.sequence for event in read_log(path)] == [1]
    assert "cannot write" in caplog.text


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        DecisionLog(tmp_path / "file" / "log.jsonl", 1, 1).start()


def test_closing_before_the_start_does_nothing(tmp_path):
    DecisionLog(tmp_path / "log.jsonl", 1, 1).close()
    assert not list(tmp_path.iterdir())
