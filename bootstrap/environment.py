"""The state of an environment on disk: finished, unfinished or absent, and one setup at a time."""

import contextlib
import fcntl
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bootstrap.progress import Progress


@dataclass(frozen=True)
class Environment:
    """The project's .venv, or another. Its stamp is written last: without it, it is unfinished."""

    root: Path
    folder: str = ".venv"

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.folder

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.path / "bin" / "python"

    @property
    def _stamp(self) -> Path:
        return self.path / "spillway-setup.json"

    def is_finished(self, fingerprint: str) -> bool:
        """Whether a setup with this fingerprint came to its end and nothing was removed since."""
        try:
            stamp = json.loads(self._stamp.read_text())
            return stamp["fingerprint"] == fingerprint and set(stamp["names"]) <= self._names()
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def finish(self, fingerprint: str) -> None:
        """Write the stamp."""
        content = json.dumps({"fingerprint": fingerprint, "names": sorted(self._names())})
        unfinished = self._stamp.with_suffix(".new")
        unfinished.write_text(content)
        unfinished.replace(self._stamp)

    def remove(self) -> None:
        """Remove it, whatever state it is in."""
        if self.path.is_symlink() or self.path.is_file():
            self.path.unlink()
        elif self.path.exists():
            shutil.rmtree(self.path)

    def exists(self) -> bool:
        """Whether anything is there, finished or not."""
        return self.path.is_symlink() or self.path.exists()

    def _names(self) -> set[str]:
        """The programs and packages in it, one level deep: a cheap look at its completeness."""
        packages = self.path / "lib" / "python3.11" / "site-packages"
        folders = (self.python.parent, packages)
        return {f"{folder.name}/{entry.name}" for folder in folders for entry in folder.iterdir()}


@contextlib.contextmanager
def one_at_a_time(root: Path, progress: Progress) -> Iterator[None]:
    """Wait for another setup of this folder. The lock is on a file that is there anyway."""
    with (root / "pyproject.toml").open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("Another setup of this folder is running: waiting for it to finish.")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
