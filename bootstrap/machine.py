"""What this machine lacks, before anything is written."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from bootstrap.failure import SetupError
from bootstrap.recipe import GIB, Accelerator, Recipe

ACCELERATOR_VARIABLE = "SPILLWAY_ACCELERATOR"  # cpu or cuda; otherwise the machine is looked at


def accelerator(devices: Path = Path("/dev"), choice: str | None = None) -> Accelerator:
    """The build of the engine for this machine.

    Raises:
        SetupError: the choice is neither `cpu` nor `cuda`.
    """
    choice = os.environ.get(ACCELERATOR_VARIABLE, "") if choice is None else choice
    if choice:
        try:
            return Accelerator[choice.upper()]
        except KeyError:
            raise SetupError(
                f"{ACCELERATOR_VARIABLE} is {choice!r}: set it to cpu or cuda."
            ) from None
    return Accelerator.CUDA if any(devices.glob("nvidia[0-9]*")) else Accelerator.CPU


def require_linux(platform: str = sys.platform) -> None:
    """The engine's wheels and the local fleet's supervision are Linux's."""
    if platform != "linux":
        raise SetupError(
            f"Spillway's engines need Linux and this is {platform}: use a Linux machine, "
            "or `pip install .` for the router and the client alone."
        )


def require_venv_module(found: bool | None = None) -> None:
    """Debian ships Python without what `python -m venv` needs."""
    if found is None:
        found = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip"))
    if not found:
        raise SetupError(
            "This Python has no venv module: install it (Debian: `apt-get install python3-venv`)."
        )


def require_disk(root: Path, recipe: Recipe, free_bytes: int | None = None) -> None:
    """Room for the packages beside the project."""
    free_bytes = shutil.disk_usage(root).free if free_bytes is None else free_bytes
    if free_bytes < recipe.disk_bytes:
        raise SetupError(
            f"The packages need {recipe.disk_bytes / GIB:.0f} GiB and {root} has "
            f"{free_bytes / GIB:.1f} GiB free: free some space and run it again."
        )
