"""A writer that is killed at any moment: what was acknowledged is there, and once."""

import random
import sqlite3
import subprocess
import sys
import textwrap

import pytest

_WRITER = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from router.ledger.entry import Entry
    from router.ledger.ledger import Ledger
    from router.ledger.sqlite import SqliteDatabase
    from tests.router.ledger.charging import charge

    for line in sys.stdin:  # each start of a router: its name, and what it sends again
        router, first = line.split()
        number = int(first)
        ledger = Ledger(SqliteDatabase(Path(sys.argv[1])), router)
        while True:
            batch = [Entry(charge(number + i), time.time_ns()) for i in range(3)]
            ledger.write(batch, time.time_ns())
            print(number + 2, flush=True)
            number += 3
    """
)


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(tmp_path, kills):
    """Kills within transactions, commits and checkpoints.

    After a kill the same attempts come again from the last that was acknowledged, as they do from
    a queue whose last answer was lost.
    """
    path, rng, acknowledged = tmp_path / "ledger.sqlite", random.Random(8), 0
    spare = [_started(path) for _ in range(2)]  # so that starting Python does not cost its time
    for _ in range(kills):
        writer = spare.pop(0)
        spare.append(_started(path))
        again = max(1, acknowledged + 1 - rng.randrange(4))
        writer.stdin.write(f"router-1 {again}\n")
        writer.stdin.flush()
        for _ in range(rng.randrange(1, 4)):
            acknowledged = max(acknowledged, int(writer.stdout.readline()))
        for _ in range(rng.randrange(3_000)):  # a moment of any length
            pass
        writer.kill()
        rest = writer.communicate()[0].split()
        acknowledged = max([acknowledged, *map(int, rest)])
        _check(path, acknowledged)
    for writer in spare:
        writer.kill()
        writer.communicate()
    assert acknowledged > 3 * kills


def _started(path):
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _check(path, acknowledged):
    connection = sqlite3.connect(path)
    try:
        (rows, distinct, newest) = connection.execute(
            "SELECT count(*), count(DISTINCT number), max(number) FROM attempts"
        ).fetchone()
        (last, counted) = connection.execute("SELECT last_number, attempts FROM routers").fetchone()
        (summed, usd) = connection.execute(
            "SELECT sum(attempts), sum(metered_usd) FROM days"
        ).fetchone()
    finally:
        connection.close()
    assert newest >= acknowledged
    assert rows == distinct == newest == last == counted == summed
    assert usd == 0.5 * rows
