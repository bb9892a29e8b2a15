"""The log of one process: on the disk before anybody hears, whole after whatever befalls it."""

import os
import stat
import threading
import time
from hashlib import sha256
from pathlib import Path

import pytest

from router.audit.chain import SEALED
from router.audit.journal import AuditError, Journal, files_of, read_secret
from router.audit.pruning import PRUNED, Keeping
from router.audit.verifying import records, verify

SECRET = b"s" * 32


def said(path, secret=None):
    """What a log says, of what was appended here."""
    return [one["count"] for one in records([path], secret) if "count" in one]


def kept(path, counts, secret=None, bytes_max=1 << 20):
    """Appends these, by a process that ends then."""
    journal = Journal(path, bytes_max, secret)
    for count in counts:
        journal.append({"count": count})
    journal.close()
    return journal.head


@pytest.mark.parametrize("secret", [None, SECRET])
def test_a_log_goes_on_with_the_next_process(tmp_path, secret):
    """One chain, whoever writes it, and nobody else may read it."""
    path = tmp_path / "deep" / "audit.jsonl"
    kept(path, range(3), secret)
    head = kept(path, range(3, 6), secret)
    assert said(path, secret) == [0, 1, 2, 3, 4, 5]
    verdict = verify(path, secret)
    assert verdict.is_whole
    assert (verdict.records, verdict.first, verdict.head) == (6, 1, head)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_full_file_stays_beside_the_next(tmp_path):
    """The chain goes on over files, and over a process that begins in the middle of that."""
    path = tmp_path / "audit.jsonl"
    for begin in range(0, 60, 20):
        kept(path, range(begin, begin + 20), bytes_max=2_000)
    assert len(files_of(path)) > 4
    assert all(one.stat().st_size <= 2_000 for one in files_of(path))
    assert said(path) == list(range(60))
    assert verify(path, None).records == 60
    path.unlink()  # as a kill between the two steps of a rotation leaves it
    before = verify(path, None)
    kept(path, [99], bytes_max=2_000)
    assert verify(path, None).records == before.records + 1


def test_a_missing_file_in_the_middle_shows(tmp_path):
    path = tmp_path / "audit.jsonl"
    kept(path, range(60), bytes_max=2_000)
    files_of(path)[2].unlink()
    assert "does not follow the record before it" in verify(path, None).problem


def test_what_is_archived_elsewhere_is_missing_unless_that_is_said(tmp_path):
    """Who may remove the oldest file may not hide it by that; who keeps it elsewhere says so."""
    path = tmp_path / "audit.jsonl"
    kept(path, range(60), bytes_max=2_000)
    files_of(path)[0].unlink()
    verdict = verify(path, None)
    assert verdict.first > 1
    assert "nothing in it says that those before were removed" in verdict.problem
    assert verify(path, None, begins_at=verdict.first).is_whole
    assert not verify(path, None, begins_at=verdict.first - 1).is_whole


@pytest.mark.parametrize("secret", [None, SECRET])
def test_the_oldest_files_are_removed_and_the_log_says_so(tmp_path, secret):
    """So many stay; what was removed is known by its number, its digest and those of its files."""
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, 2_000, secret, Keeping(files_max=3, kept_s=0.0))
    first = journal.append({"count": 0})
    for count in range(1, 100):
        journal.append({"count": count})
        assert len(files_of(path)) <= 4
        assert verify(path, secret).is_whole
    journal.close()
    verdict = verify(path, secret)
    assert verdict.first > 40
    assert verdict.pruned == verdict.first - 1
    assert said(path, secret)[-1] == 99
    removed = [one for one in records([path], secret) if one.get("action") == PRUNED]
    assert removed[-1]["before"]["number"] == verdict.pruned
    assert removed[-1]["before"]["files"][0]["file"].startswith("audit.jsonl.0")
    assert f"older than record {verdict.first}" in verify(path, secret, first.digest).problem


def test_a_copy_of_a_removed_file_is_known_to_be_it(tmp_path):
    """The record that stands for it has its digest."""
    path, copies = tmp_path / "audit.jsonl", {}
    journal = Journal(path, 2_000, None, Keeping(files_max=2, kept_s=0.0))
    for count in range(60):
        journal.append({"count": count})
        copies |= {one.name: sha256(one.read_bytes()).hexdigest() for one in files_of(path)[:-1]}
    journal.close()
    removed = [one["before"]["files"] for one in records([path], None) if "before" in one]
    assert removed
    assert all(copies[one["file"]] == one["sha256"] for files in removed for one in files)


def test_no_record_is_removed_before_its_time(tmp_path):
    """Who may act cannot push out the record of it by acting again and again: nothing is done."""
    path, now_s = tmp_path / "audit.jsonl", [time.time()]
    keeping = Keeping(files_max=2, kept_s=30 * 86_400.0)
    journal = Journal(path, 2_000, None, keeping, lambda: now_s[0])

    def fill():
        for count in range(60):
            journal.append({"count": count})

    with pytest.raises(AuditError, match="none of the last 30 days may be removed"):
        fill()
    whole = said(path)
    with pytest.raises(AuditError, match="raise router"):
        fill()
    assert said(path)[: len(whole)] == whole
    assert len(files_of(path)) == 3
    now_s[0] += 31 * 86_400.0
    journal.append({"count": 99})
    assert len(files_of(path)) == 3
    assert verify(path, None).is_whole
    journal.close()


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_death_amid_the_removal_of_several_files_leaves_a_whole_log(tmp_path, monkeypatch, gone):
    """The record of all of them is there, and the first are gone; the rest goes the next time."""
    path, unlinked, unlink = tmp_path / "audit.jsonl", [], Path.unlink
    kept(path, range(90), bytes_max=2_000)  # some eight files, of which two are to stay

    def dies(one):
        if len(unlinked) == gone:
            raise OSError(5, "the process is killed here")
        unlinked.append(one)
        unlink(one)

    monkeypatch.setattr(Path, "unlink", dies)
    journal = Journal(path, 2_000, None, Keeping(files_max=2, kept_s=0.0))

    def fill():
        for count in range(90, 200):
            journal.append({"count": count})

    with pytest.raises(AuditError, match="killed here"):
        fill()
    verdict = verify(path, None)
    assert verdict.is_whole, verdict.problem
    assert 1 < verdict.first == verdict.pruned + 1
    monkeypatch.undo()
    for count in range(200, 230):
        journal.append({"count": count})
        assert verify(path, None).is_whole
    journal.close()
    assert len(files_of(path)) == 3
    assert said(path)[-1] == 229


def test_a_beginning_that_another_record_accounts_for_is_missing(tmp_path):
    """Of what was removed there is a record; of what somebody removed beside there is none."""
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, 2_000, None, Keeping(files_max=5, kept_s=0.0))
    for count in range(90):
        journal.append({"count": count})
    journal.close()
    assert verify(path, None).pruned
    files_of(path)[0].unlink()
    assert "nothing in it says" in verify(path, None).problem


def test_a_full_file_is_put_over_no_other(tmp_path):
    """Whatever is there under its name, a copy of the log for example, stays as it is."""
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, 2_000)
    journal.append({"count": 0})
    there = path.with_name("audit.jsonl.000000000001")
    there.write_text("somebody's")

    def fill():
        for count in range(1, 60):
            journal.append({"count": count})

    with pytest.raises(AuditError, match="in the way"):
        fill()
    assert there.read_text() == "somebody's"
    there.unlink()
    journal.append({"count": 99})
    journal.close()
    assert verify(path, None).is_whole
    assert said(path)[-1] == 99


@pytest.mark.parametrize("cut", [1, 40, 150])
def test_a_torn_line_is_sealed_and_stays(tmp_path, cut):
    """Of a process that was killed while it wrote: told by a record, and never dropped."""
    path = tmp_path / "audit.jsonl"
    kept(path, range(4))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    torn = verify(path, None)
    assert torn.is_whole
    assert torn.torn > 0 or cut == 1
    kept(path, [9])
    assert path.read_bytes().startswith(whole[:-cut])
    assert said(path) == ([0, 1, 2, 3, 9] if cut == 1 else [0, 1, 2, 9])
    seals = [one for one in records([path], None) if one.get("action") == SEALED]
    assert len(seals) == (cut > 1)
    assert verify(path, None).is_whole


def test_a_torn_seal_is_sealed_too(tmp_path):
    """A second kill, while the first one's line was being sealed, and a third."""
    path = tmp_path / "audit.jsonl"
    kept(path, range(4))
    path.write_bytes(path.read_bytes()[:-30])
    for cut in (20, 60, 10):
        journal = Journal(path, 1 << 20)
        journal.open()
        journal.close()
        path.write_bytes(path.read_bytes()[:-cut])
    kept(path, [9])
    assert said(path) == [0, 1, 2, 9]
    assert verify(path, None).is_whole


@pytest.mark.parametrize(
    "tamper",
    [
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [*lines[:2], lines[2].replace(b'"count":2', b'"count":7'), *lines[3:]],
        lambda lines: [*lines[:2], b"\n", *lines[2:]],
        lambda lines: [*lines[:2], b"garbage\n", *lines[2:]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"count":5', b'"count":6')],
    ],
    ids=["left out", "swapped", "twice", "changed", "empty line", "put in", "the last changed"],
)
def test_whoever_changes_a_record_is_found_out(tmp_path, tamper):
    path = tmp_path / "audit.jsonl"
    kept(path, range(6))
    path.write_bytes(b"".join(tamper(path.read_bytes().splitlines(keepends=True))))
    assert not verify(path, None).is_whole


def test_a_log_that_was_changed_takes_no_more(tmp_path):
    """And says what to do: the file is evidence."""
    path = tmp_path / "audit.jsonl"
    kept(path, range(6))
    path.write_bytes(path.read_bytes().replace(b'"count":2', b'"count":7'))
    with pytest.raises(AuditError, match="move it away"):
        Journal(path, 1 << 20).append({"count": 9})


def test_a_whole_new_chain_needs_the_secret(tmp_path):
    """Whoever may write the file can make another chain, and not one that is sealed."""
    path = tmp_path / "audit.jsonl"
    kept(path, range(6), SECRET)
    path.unlink()
    kept(path, range(3))
    assert not verify(path, SECRET).is_whole
    kept(tmp_path / "other.jsonl", range(3), b"t" * 32)
    assert not verify(tmp_path / "other.jsonl", SECRET).is_whole


def test_a_log_has_a_secret_from_its_first_record_or_never(tmp_path):
    """What there is stays, and nothing of it is taken for a line that was cut off."""
    for name, first, second in (("a", None, SECRET), ("b", SECRET, None), ("c", SECRET, b"t" * 32)):
        path = tmp_path / name
        kept(path, range(2), first)
        whole = path.read_bytes()
        with pytest.raises(AuditError, match="move it away"):
            Journal(path, 1 << 20, second).append({"count": 9})
        assert path.read_bytes() == whole


def test_a_shorter_log_is_whole_unless_one_knows_its_head(tmp_path):
    """What a chain cannot say by itself."""
    path = tmp_path / "audit.jsonl"
    head = kept(path, range(6))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:4]))
    assert verify(path, None).is_whole
    assert "its end is cut off" in verify(path, None, head.digest).problem


def test_one_process_writes_at_a_time(tmp_path):
    path = tmp_path / "audit.jsonl"
    first = Journal(path, 1 << 20)
    first.append({"count": 1})
    with pytest.raises(AuditError, match="another process writes"):
        Journal(path, 1 << 20).append({"count": 2})
    first.close()
    kept(path, [3])
    assert said(path) == [1, 3]


def test_a_disk_that_is_full_takes_nothing_and_loses_nothing(tmp_path, monkeypatch):
    """Half a line may be there when there is room again; it is sealed."""
    path, real = tmp_path / "audit.jsonl", os.write
    journal = Journal(path, 1 << 20)
    journal.append({"count": 1})
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[: len(data) // 2]))
    for _ in range(3):
        with pytest.raises(AuditError, match="could be written"):
            journal.append({"count": 2})
    monkeypatch.setattr(os, "write", real)
    journal.append({"count": 3})
    journal.close()
    assert said(path) == [1, 3]
    assert verify(path, None).is_whole


def test_what_the_disk_did_not_confirm_does_not_count(tmp_path, monkeypatch):
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, 1 << 20)
    journal.append({"count": 1})

    def fails(_file):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(AuditError, match="Input/output error"):
            journal.append({"count": 2})
    journal.append({"count": 3})
    journal.close()
    assert verify(path, None).is_whole


def test_a_folder_that_is_none_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AuditError):
        Journal(tmp_path / "file" / "audit.jsonl", 1 << 20).append({})


def test_the_lock_is_not_a_link_to_elsewhere(tmp_path):
    """Nor is the log."""
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(AuditError):
        Journal(tmp_path / "audit.jsonl", 1 << 20).append({})
    assert not (tmp_path / "victim").exists()


def test_a_secret_is_long_enough(tmp_path):
    path = tmp_path / "secret"
    with pytest.raises(AuditError, match="cannot be read"):
        read_secret(path)
    path.write_text("short\n")
    with pytest.raises(AuditError, match="openssl rand"):
        read_secret(path)
    path.write_text("x" * 40 + "\n")
    assert read_secret(path) == b"x" * 40


def test_any_thread_may_append(tmp_path):
    """One at a time, as its caller sees to."""
    path = tmp_path / "audit.jsonl"
    journal = Journal(path, 1 << 20)
    for count in range(5):
        thread = threading.Thread(target=journal.append, args=({"count": count},))
        thread.start()
        thread.join(10)
    journal.close()
    assert said(path) == [0, 1, 2, 3, 4]
