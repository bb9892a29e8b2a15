"""Programs as people start them, what they say, and how much of the machine they hold."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.waiting import wait_until

_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    fds: int
    threads: int
    rss_mib: int


class Program:
    """`python -m ...`, whose words go to a file, so that no pipe is ever full."""

    def __init__(self, folder, name, *arguments, **environment):
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *map(str, arguments)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONPATH": str(Path.cwd())} | environment,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    @property
    def said(self):
        """All that it has said so far."""
        return self.log.read_text(errors="backslashreplace")

    def address(self, before):
        """The address that it names behind these words, once it has."""
        pattern = re.compile(rf"{before}\D*(127\.0\.0\.1:\d+)")
        wait_until(lambda: self._lives() and pattern.search(self.said))
        return pattern.search(self.said)[1]

    def _lives(self):
        assert self.process.poll() is None, f"it ended: {self.said}"
        return True

    @property
    def footprint(self):
        """What it holds now."""
        proc = Path(f"/proc/{self.process.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return Footprint(
            fds=len(list((proc / "fd").iterdir())),
            threads=len(list((proc / "task").iterdir())),
            rss_mib=pages * _PAGE_KIB // 1024,
        )

    def end(self):
        """Kills it; whoever starts a program in a test ends it there."""
        self.process.kill()
        self.process.wait()
