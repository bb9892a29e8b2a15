"""A .venv counts as made only once a setup came to its end and nothing was removed since."""

import fcntl
import io
import threading
from pathlib import Path

import pytest

from bootstrap.environment import Environment, one_at_a_time
from bootstrap.progress import Progress
from bootstrap.recipe import CPU_OVERRIDES, RECIPES, Accelerator
from tests.waiting import DEADLINE_S, wait_until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project folder with what a .venv has in it, but no stamp."""
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "bootstrap" / "locks").mkdir(parents=True)
    for recipe in RECIPES.values():
        (tmp_path / recipe.lock).write_text("")
    (tmp_path / CPU_OVERRIDES).write_text("")
    for name in ("bin/python", "bin/ray", "lib/python3.11/site-packages/ray/__init__.py"):
        path = tmp_path / ".venv" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_a_half_made_folder_is_not_finished(root: Path):
    """Every file may be there: without the stamp, which is written last, it does not count."""
    environment = Environment(root)
    assert environment.exists()
    assert not environment.is_finished("recipe")
    environment.finish("recipe")
    assert environment.is_finished("recipe")


def test_a_folder_that_lost_a_package_is_not_finished(root: Path):
    """The stamp remembers what was in it; more than that does no harm."""
    environment = Environment(root)
    environment.finish("recipe")
    package = root / ".venv/lib/python3.11/site-packages/ray"
    (package.parent / "extra").mkdir()
    assert environment.is_finished("recipe")
    (package / "__init__.py").unlink()
    package.rmdir()
    assert not environment.is_finished("recipe")


@pytest.mark.parametrize("stamp", ["", "[]", "{}", '{"fingerprint": "recipe"}'])
def test_a_damaged_stamp_is_no_stamp(root: Path, stamp: str):
    """Whatever it holds."""
    (root / ".venv" / "spillway-setup.json").write_text(stamp)
    assert not Environment(root).is_finished("recipe")


def test_other_versions_and_another_place_need_another_setup(root: Path, tmp_path: Path):
    """A .venv holds absolute paths, so a copied clone makes its own."""
    recipe = RECIPES[Accelerator.CPU]
    before = recipe.fingerprint(root)
    assert recipe.fingerprint(root) == before
    assert RECIPES[Accelerator.CUDA].fingerprint(root) != before
    (root / "pyproject.toml").write_text("[project]\nversion = '2'\n")
    assert recipe.fingerprint(root) != before
    before = recipe.fingerprint(root)
    (root / recipe.lock).write_text("ray==2.61.0\n")
    assert recipe.fingerprint(root) != before


def test_removing_a_link_leaves_what_it_points_to(root: Path, tmp_path: Path):
    """A .venv may be a link to a folder of the user's."""
    target = tmp_path / "theirs"
    (root / ".venv").rename(target)
    (root / ".venv").symlink_to(target)
    environment = Environment(root)
    environment.remove()
    assert not environment.exists()
    assert (target / "bin" / "python").exists()


def test_a_second_setup_waits_for_the_first(root: Path):
    """And says that it waits."""
    said = io.StringIO()
    order: list[str] = []

    def second() -> None:
        with one_at_a_time(root, Progress(said)):
            order.append("second")

    with (root / "pyproject.toml").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=second)
        thread.start()
        wait_until(lambda: "waiting for it" in said.getvalue())
        order.append("first")
    thread.join(DEADLINE_S)
    assert order == ["first", "second"]
