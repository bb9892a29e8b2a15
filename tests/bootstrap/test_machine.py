"""What the machine lacks is said before anything is written."""

from pathlib import Path

import pytest

from bootstrap.failure import SetupError
from bootstrap.machine import accelerator, require_disk, require_linux, require_venv_module
from bootstrap.recipe import GIB, RECIPES, Accelerator


def test_a_machine_with_a_cuda_device_gets_the_gpu_engine(tmp_path: Path):
    """Its device files tell; a choice overrides them."""
    assert accelerator(tmp_path, "") is Accelerator.CPU
    (tmp_path / "nvidia0").touch()
    assert accelerator(tmp_path, "") is Accelerator.CUDA
    assert accelerator(tmp_path, "cpu") is Accelerator.CPU


def test_a_choice_that_does_not_exist_is_refused(tmp_path: Path):
    """It says which there are."""
    with pytest.raises(SetupError, match="set it to cpu or cuda"):
        accelerator(tmp_path, "tpu")


def test_the_gpu_recipe_takes_pytorch_from_the_index():
    """Nothing of the CPU build's pins and overrides is in it."""
    recipe = RECIPES[Accelerator.CUDA]
    locked = ("--verify-hashes", "--constraints", "bootstrap/locks/cuda.txt")
    assert recipe.rest == (*locked, "--editable", ".[serving,kernels,bench,dev]")
    assert not any("cpu" in package for package in recipe.first_packages)


def test_another_platform_is_told_what_works_there():
    """A router and a client need no Linux."""
    with pytest.raises(SetupError, match="need Linux and this is darwin"):
        require_linux("darwin")


def test_a_python_without_venv_is_told_the_package():
    """Debian splits it off."""
    with pytest.raises(SetupError, match="apt-get install python3-venv"):
        require_venv_module(found=False)


def test_too_little_disk_is_said_with_figures(tmp_path: Path):
    """What is needed and what is there."""
    recipe = RECIPES[Accelerator.CPU]
    with pytest.raises(SetupError, match=r"need 6 GiB .* 2\.0 GiB free"):
        require_disk(tmp_path, recipe, free_bytes=2 * GIB)
    require_disk(tmp_path, recipe, free_bytes=recipe.disk_bytes)
