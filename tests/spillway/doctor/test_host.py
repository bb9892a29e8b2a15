"""Limits of the machine, against what routers and engines need."""

import pytest

from spillway.doctor import host
from spillway.doctor.finding import Level


@pytest.mark.parametrize(
    ("soft", "level"), [(1024, Level.PROBLEM), (20_000, Level.WARNING), (1 << 20, Level.OK)]
)
def test_open_files_are_held_against_a_busy_router(soft, level):
    """A shell's usual limit is too low for one."""
    (found,) = host.open_files((soft, 1 << 20))
    assert found.level is level
    assert (found.do != "") == (level is not Level.OK)


@pytest.mark.parametrize(
    ("gib", "level"), [(1 / 16, Level.PROBLEM), (1, Level.WARNING), (8, Level.OK)]
)
def test_shared_memory_is_held_against_what_ranks_and_ray_take(gib, level, tmp_path, monkeypatch):
    """A container's default is 64 MiB."""
    total = int(gib * host.GIB)
    monkeypatch.setattr(
        "shutil.disk_usage", lambda _path: host.shutil._ntuple_diskusage(total, 0, 0)
    )
    (found,) = host.shared_memory(tmp_path)
    assert found.level is level


def test_a_machine_without_shared_memory_is_told(tmp_path):
    """Rather than that the check failed."""
    (found,) = host.shared_memory(tmp_path / "absent")
    assert found.level is Level.PROBLEM


def test_each_disk_is_told_once():
    """With the first of the uses that it has."""
    found = list(host.disk())
    assert 1 <= len(found) <= 3
    assert "free at" in found[0].what
