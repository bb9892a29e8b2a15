"""A keeper leaves nothing behind, however its command, its client or it itself comes to an end."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from spillway.local.kept import Kept, KeptError
from tests.waiting import DEADLINE_S, wait_until

# Prints its own pid and those of a child that left the session and of a double-forked orphan that
# ignores SIGTERM, then waits.
FAMILY = """
    import os, signal, subprocess, sys, time
    sleeper = [sys.executable, "-c", "import time; time.sleep(300)"]
    escaped = subprocess.Popen(sleeper, start_new_session=True)
    orphan_pid, answer = os.pipe()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        orphan = subprocess.Popen(sleeper, start_new_session=True)
        os.write(answer, str(orphan.pid).encode())
        os._exit(0)
    os.wait()
    print(os.getpid(), escaped.pid, os.read(orphan_pid, 20).decode(), flush=True)
    time.sleep(300)
"""


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie that waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def start_family(folder: Path) -> tuple[Kept, list[int]]:
    kept = Kept(python(FAMILY), os.environ, folder)
    wait_until(lambda: len(kept.output.split()) == 3)
    pids = [int(word) for word in kept.output.split()]
    assert all(is_alive(pid) for pid in pids)
    return kept, pids


def test_stop_ends_every_descendant_and_removes_the_folder(tmp_path: Path):
    """Neither a new session nor a double fork gets away, and the empty parent folder goes too."""
    kept, pids = start_family(tmp_path / "fleet" / "home")
    kept.stop()
    assert not any(is_alive(pid) for pid in pids)
    assert not (tmp_path / "fleet").exists()


def test_a_folder_of_another_keeper_stays(tmp_path: Path):
    """The common parent is removed by the last keeper only."""
    first = Kept(python("import time; time.sleep(300)"), os.environ, tmp_path / "fleet" / "home")
    second = Kept(python("import time; time.sleep(300)"), os.environ, tmp_path / "fleet" / "rented")
    first.stop()
    assert [path.name for path in (tmp_path / "fleet").iterdir()] == ["rented"]
    second.stop()
    assert not (tmp_path / "fleet").exists()


def test_killing_the_client_ends_everything(tmp_path: Path):
    """SIGKILL of the process that gave the order reaches all that it ordered."""
    client = f"""
        import os, sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_keeper import start_family
        kept, pids = start_family(Path({str(tmp_path / "fleet" / "home")!r}))
        if os.fork() == 0:  # a fork that holds on to the keeper's standard input
            time.sleep(300)
        print(kept.pid, *pids, flush=True)
        time.sleep(300)
    """
    process = subprocess.Popen(python(client), stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    assert len(pids) == 4
    process.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))
    assert not (tmp_path / "fleet").exists()
    os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_keeper_ends_its_command(tmp_path: Path, number: signal.Signals):
    """Whoever ends a keeper politely ends what it keeps."""
    kept, pids = start_family(tmp_path / "home")
    os.kill(kept.pid, number)
    assert kept.wait(DEADLINE_S) == 0
    assert not any(is_alive(pid) for pid in pids)
    kept.stop()


def test_a_command_that_ends_by_itself_is_reported_with_its_last_words(tmp_path: Path):
    """The exit code and the output outlive the folder."""
    kept = Kept(python("print('out of luck'); raise SystemExit(3)"), os.environ, tmp_path / "home")
    assert kept.wait(DEADLINE_S) == 3
    assert not kept.running
    assert kept.output == "out of luck\n"
    assert not (tmp_path / "home").exists()
    kept.stop()


@pytest.mark.parametrize("keeper_is_killed", [False, True])
def test_semaphores_and_shared_memory_are_removed(tmp_path: Path, keeper_is_killed: bool):
    """Python's resource tracker outlives those it tracks for, and cleans up after them."""
    code = """
        import multiprocessing, time
        from multiprocessing.shared_memory import SharedMemory
        multiprocessing.set_start_method("spawn")
        lock, memory = multiprocessing.Lock(), SharedMemory(create=True, size=1)
        print(lock._semlock.name, memory.name, flush=True)
        time.sleep(300)
    """
    kept = Kept(python(code), os.environ, tmp_path / "home")
    wait_until(lambda: len(kept.output.split()) == 2)
    semaphore, memory = kept.output.split()
    left = [Path("/dev/shm") / f"sem.{semaphore[1:]}", Path("/dev/shm") / memory]
    assert all(path.exists() for path in left)
    if keeper_is_killed:
        os.kill(kept.pid, signal.SIGKILL)
    kept.stop()
    assert not any(path.exists() for path in left)


def test_the_command_gets_its_grace(tmp_path: Path):
    """SIGTERM comes first where the command is given time to end by itself."""
    code = """
        import signal, sys, time
        from pathlib import Path
        def leave(*_):
            Path("../left").touch()
            sys.exit()
        signal.signal(signal.SIGTERM, leave)
        print("waiting", flush=True)
        time.sleep(300)
    """
    kept = Kept(python(code), os.environ, tmp_path / "home", grace_s=10.0)
    wait_until(lambda: kept.output == "waiting\n")
    kept.stop()
    assert (tmp_path / "left").exists()


def test_files_are_there_before_the_command_starts(tmp_path: Path):
    """The command's configuration comes with the order."""
    code = "print(open('fleet.yaml').read())"
    kept = Kept(python(code), os.environ, tmp_path / "home", files={"fleet.yaml": "sites: []"})
    assert kept.wait(DEADLINE_S) == 0
    assert kept.output == "sites: []\n"
    kept.stop()


def test_what_a_killed_keeper_leaves_behind_is_ended_by_its_client(tmp_path: Path):
    """SIGKILL to the keeper alone: neither a new session nor a double fork gets away."""
    kept, pids = start_family(tmp_path / "fleet" / "home")
    other, others = start_family(tmp_path / "fleet" / "home-2")
    os.kill(kept.pid, signal.SIGKILL)
    kept.stop()
    assert not any(is_alive(pid) for pid in pids)
    assert all(is_alive(pid) for pid in others)
    other.stop()
    assert not (tmp_path / "fleet").exists()


def test_the_folder_of_a_killed_keeper_is_removed_by_its_client(tmp_path: Path):
    """When all of a site is killed at once, its keeper among it."""
    kept, pids = start_family(tmp_path / "fleet" / "home")
    for pid in [kept.pid, *pids]:
        os.kill(pid, signal.SIGKILL)
    kept.stop()
    assert not (tmp_path / "fleet").exists()


def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path):
    """The error names it in one sentence, and its folder is gone."""
    with pytest.raises(KeptError) as raised:
        Kept(["/no-such-program"], os.environ, tmp_path / "home")
    assert str(raised.value) == (
        "/no-such-program could not be started: /no-such-program: No such file or directory"
    )
    assert not (tmp_path / "home").exists()


def test_a_folder_that_is_there_already_is_an_error(tmp_path: Path):
    """It is somebody else's, and stays."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "theirs").touch()
    with pytest.raises(KeptError, match=r"could not be started: \S+/home: File exists$"):
        Kept(python("pass"), os.environ, tmp_path / "home")
    assert (tmp_path / "home" / "theirs").exists()
