"""The two files of a batch: what is wrong with one, and what is already in the other."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spillway.batch import results as results_module
from spillway.batch.errors import BadRequestsError, BatchError
from spillway.batch.line import mark
from spillway.batch.results import Results
from spillway.batch.source import Source
from tests.spillway.batch.asking import answers, request, write_requests

RESULT = {"id": "r", "response": {"status_code": 200, "body": {}}, "error": None}
FAILED = {"id": "r", "response": None, "error": {"code": "timeout", "message": "late"}}
ROOT = Path(__file__).resolve().parents[3]

WRITER = """
import resource
import sys
from pathlib import Path
from spillway.batch.results import Results
from spillway.batch.source import Source

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
source = Source(Path(sys.argv[1]))
with Results(Path(sys.argv[2])) as results:
    left = list(source.without(results.done))
    print("begins", flush=True)
    for line in left:
        answer = {"id": "r", "response": {"status_code": 200, "body": "x" * 3000}, "error": None}
        results.add(line.custom_id, answer)
        print(line.custom_id, flush=True)
"""


def test_every_problem_is_told_with_its_line(tmp_path):
    """And nothing is sent."""
    path = write_requests(tmp_path / "in", [request("a"), request("b", stream=True), request("a")])
    with pytest.raises(BadRequestsError) as caught:
        Source(path)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        f"{path}:2",
        f"{path}:3",
    ]


def test_problems_without_end_are_cut_short(tmp_path):
    """A file of another kind has one a line."""
    (tmp_path / "in").write_text("no\n" * 1_000)
    with pytest.raises(BadRequestsError) as caught:
        Source(tmp_path / "in")
    assert len(caught.value.problems) == 21


def test_a_file_that_is_not_there_is_told_so(tmp_path):
    """As the system says it."""
    with pytest.raises(BatchError, match="No such file"):
        Source(tmp_path / "in")


def test_empty_lines_are_no_requests(tmp_path):
    """An editor may leave some."""
    (tmp_path / "in").write_text("\n\n")
    assert len(Source(tmp_path / "in")) == 0


def test_what_has_an_answer_is_not_asked_again(tmp_path):
    """Whether the answer is one or an error."""
    source = Source(write_requests(tmp_path / "in", [request(one) for one in "abc"]))
    with Results(tmp_path / "out") as results:
        results.add("a", RESULT)
        results.add("c", FAILED)
    with Results(tmp_path / "out") as results:
        assert [line.custom_id for line in source.without(results.done)] == ["b"]
        assert results.failed == 1


def test_answers_of_another_batch_are_left_alone(tmp_path):
    """Two batches in one file could not be told apart."""
    with Results(tmp_path / "out") as results:
        results.add("other", RESULT)
    source = Source(write_requests(tmp_path / "in", [request("a")]))
    with Results(tmp_path / "out") as results, pytest.raises(BatchError, match="another batch"):
        next(source.without(results.done))


def test_a_request_that_is_added_meanwhile_is_told(tmp_path):
    """It might have the id of another: the file was looked through as a whole."""
    path = write_requests(tmp_path / "in", [request("a")])
    source = Source(path)
    write_requests(path, [request("a"), request("b")])
    with pytest.raises(BatchError, match="was added"):
        list(source.without(set()))


@pytest.mark.parametrize("text", ["hello\n", "[]\n", '{"custom_id": "a"}\n'])
def test_a_file_of_something_else_is_not_written_to(tmp_path, text):
    """Nor is its end cut off."""
    (tmp_path / "out").write_text(text + "no end")
    with pytest.raises(BatchError, match="no answer of a batch"), Results(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == text + "no end"


def test_two_batches_do_not_write_one_file(tmp_path):
    """The second is told, the first goes on."""
    with Results(tmp_path / "out") as results:
        with pytest.raises(BatchError, match="another batch writes"), Results(tmp_path / "out"):
            pass
        results.add("a", RESULT)
    assert list(answers(tmp_path / "out")) == ["a"]


def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path):
    """Its request has no answer."""
    with Results(tmp_path / "out") as results:
        results.add("a", RESULT)
        whole = (tmp_path / "out").stat().st_size
    (tmp_path / "out").write_bytes((tmp_path / "out").read_bytes() + b'{"custom_id": "b", "resp')
    with Results(tmp_path / "out") as results:
        assert results.done == {mark("a")}
        assert (tmp_path / "out").stat().st_size == whole


def test_nothing_is_written_behind_half_a_line(tmp_path, monkeypatch):
    """What else is answered in that moment is asked again, and the file can be gone on with."""

    def writes_half(file, line):
        file.write(line[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with Results(tmp_path / "out") as results:
        results.add("a", RESULT)
        with monkeypatch.context() as full:
            full.setattr(results_module, "_write", writes_half)
            with pytest.raises(BatchError, match="No space left"):
                results.add("b", RESULT)
        with pytest.raises(BatchError, match="No space left"):  # though there is room again
            results.add("c", RESULT)
        assert results.done == {mark("a")}
    with Results(tmp_path / "out") as results:
        results.add("c", RESULT)
    assert set(answers(tmp_path / "out")) == {"a", "c"}


@pytest.mark.parametrize("path", ["/dev/full", "/dev/zero"])
def test_what_is_no_file_to_come_back_to_is_refused(path):
    """It could not be read to its end, either."""
    with pytest.raises(BatchError, match="no regular file"), Results(Path(path)):
        pass


def write(source, out, bytes_max=1 << 40):
    """A process that answers everything that has no answer yet."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, source, out, str(bytes_max)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_a_full_disk_ends_it_and_when_there_is_room_it_goes_on(tmp_path):
    """Half a line may be written: it is no answer."""
    ids = [str(number) for number in range(20)]
    source = write_requests(tmp_path / "in", [request(one) for one in ids])
    full = write(source, tmp_path / "out", bytes_max=30_000)
    assert "cannot be written: File too large" in full.communicate()[1]
    assert write(source, tmp_path / "out").communicate()[1] == ""
    assert set(answers(tmp_path / "out")) == set(ids)


def test_a_batch_that_is_killed_again_and_again_has_one_answer_for_each(tmp_path):
    """At any point: whatever it said to be written is there, and nothing is there twice."""
    ids = [f"request-{number}" for number in range(3_000)]
    source = write_requests(tmp_path / "in", [request(one) for one in ids])
    out, said = tmp_path / "out", set()
    for killed_after in (1, 40, 7, 300, 90, 2, 900, None):
        with write(source, out) as writer:
            assert writer.stdout.readline() == "begins\n"
            for count, line in enumerate(writer.stdout):
                said.add(line.strip())
                if count == killed_after:
                    writer.send_signal(signal.SIGKILL)
                    break
    found = answers(out)
    assert said <= found.keys()
    assert set(found) == set(ids)
