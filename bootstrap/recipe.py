"""What is installed, for which machine, in which order.

PyTorch comes first and by pip, because pip also looks where a machine keeps large wheels
(find-links), and because its CPU build may need an index of its own for this one command. The rest
comes by uv, which resolves these 200 packages in seconds and can leave out, by an overrides file,
what the CPU build of PyTorch cannot import. A lock says which versions, and the hashes that their
files have to have (`make locks`): uv installs none that has another.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

UV = "uv==0.13.9"
CPU_TORCH = "torch==2.13.0+cpu"
CPU_OVERRIDES = "bootstrap/cpu-overrides.txt"
GIB = 1024**3


class Accelerator(Enum):
    """Which build of the engine suits the machine; the value is the project's extra."""

    CPU = "cpu"
    CUDA = "serving"


@dataclass(frozen=True)
class Recipe:
    """The commands that fill a .venv, relative to the project's root."""

    accelerator: Accelerator
    disk_bytes: int  # measured, with the index's cache, and rounded up

    @property
    def first_packages(self) -> tuple[str, ...]:
        """What pip installs."""
        return (UV, CPU_TORCH) if self.accelerator is Accelerator.CPU else (UV,)

    @property
    def lock(self) -> str:
        """The file with the versions and hashes of all but PyTorch's CPU build."""
        return f"bootstrap/locks/{self.accelerator.name.lower()}.txt"

    @property
    def rest(self) -> tuple[str, ...]:
        """The arguments of `uv pip install`."""
        project = ("--editable", f".[{self.accelerator.value},kernels,bench,dev]")
        locked = ("--verify-hashes", "--constraints", self.lock)
        if self.accelerator is Accelerator.CPU:
            return (*locked, "--overrides", CPU_OVERRIDES, CPU_TORCH, *project)
        return (*locked, *project)

    def fingerprint(self, root: Path) -> str:
        """Changes when a .venv made by this recipe is out of date, or moved with its folder."""
        digest = hashlib.sha256(f"{root.resolve()} {self.first_packages} {self.rest}".encode())
        for name in ("pyproject.toml", CPU_OVERRIDES, self.lock):
            digest.update((root / name).read_bytes())
        return digest.hexdigest()


RECIPES = {
    Accelerator.CPU: Recipe(Accelerator.CPU, disk_bytes=6 * GIB),
    Accelerator.CUDA: Recipe(Accelerator.CUDA, disk_bytes=25 * GIB),
}
