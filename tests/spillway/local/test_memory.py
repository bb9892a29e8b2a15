"""Too little memory is said before anything starts."""

from pathlib import Path

import pytest

from spillway.local.memory import (
    GIB,
    TooLittleMemoryError,
    cgroup_available,
    machine_available,
    require_memory,
)


def test_too_little_is_said_with_figures():
    """What is needed, what is there, what to do."""
    with pytest.raises(
        TooLittleMemoryError, match=r"needs 5\.5 GiB .* 2\.0 GiB are available: end"
    ):
        require_memory(int(5.5 * GIB), 2 * GIB)
    require_memory(5 * GIB, 6 * GIB)


def test_the_machine_says_what_programs_can_have(tmp_path: Path):
    """Caches that it would drop count as available."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8388608 kB\nMemFree: 1024 kB\nMemAvailable: 2097152 kB\n")
    assert machine_available(meminfo) == 2 * GIB


def test_a_container_may_have_less(tmp_path: Path):
    """Its limit less what it uses; `max` and no limit at all are none."""
    assert cgroup_available(tmp_path) > 2**60
    (tmp_path / "memory.current").write_text(str(GIB))
    (tmp_path / "memory.max").write_text("max\n")
    assert cgroup_available(tmp_path) > 2**60
    (tmp_path / "memory.max").write_text(f"{3 * GIB}\n")
    assert cgroup_available(tmp_path) == 2 * GIB
