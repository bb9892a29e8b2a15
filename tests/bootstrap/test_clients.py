"""The environment with programs of others is made once, and anew when they are others."""

import io
from pathlib import Path

import pytest

from bootstrap import clients
from bootstrap.progress import Progress


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder that says which programs are wanted."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    path = tmp_path / clients.REQUIREMENTS
    path.parent.mkdir(parents=True)
    path.write_text("one==1\n")
    return tmp_path


@pytest.fixture
def installed(monkeypatch):
    """The environments that were made, of a program and a package each."""
    made = []

    def install(_root, environment, _progress):
        made.append(environment.path.name)
        for name in ("bin/python", "lib/python3.11/site-packages/one/__init__.py"):
            path = environment.path / name
            path.parent.mkdir(parents=True)
            path.touch()

    monkeypatch.setattr(clients, "install", install)
    return made


def test_it_is_made_once(root, installed):
    """And not beside .venv's folder, but in its own."""
    for _ in range(2):
        clients.set_up(root, Progress(io.StringIO()))
    assert installed == [".clients"]


def test_other_programs_are_another_environment(root, installed):
    """What was there before is removed first."""
    clients.set_up(root, Progress(io.StringIO()))
    (root / clients.REQUIREMENTS).write_text("one==2\n")
    clients.set_up(root, Progress(io.StringIO()))
    assert len(installed) == 2
