"""What setup installs: versions and hashes of every package that an extra may bring."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bootstrap.recipe import CPU_TORCH, RECIPES, Accelerator

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENGINES = {"cpu", "serving"}
PINNED = re.compile(
    r"^([a-z0-9-]+)==(\S+)((?: ; [^\\]+)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)


def pinned(recipe):
    """Names to versions; everything in a lock has a version and hashes."""
    text = (ROOT / recipe.lock).read_text()
    found = PINNED.findall(text)
    assert "".join(f"{n}=={v}{m} \\\n{h}" for n, v, m, h in found) == text
    return {name: version for name, version, _, _ in found}


@pytest.mark.parametrize("accelerator", Accelerator)
def test_every_extra_is_locked_in_the_version_that_is_asked_for(accelerator):
    """Else `make locks` was not run; only PyTorch's CPU build is of no common index."""
    recipe = RECIPES[accelerator]
    versions = pinned(recipe)
    if accelerator is Accelerator.CPU:
        versions["torch"] = CPU_TORCH.partition("==")[2]
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras[accelerator.value]]
    wanted += [one for name, asked in extras.items() if name not in ENGINES for one in asked]
    for text in wanted:
        asked = Requirement(text)
        found = versions.get(canonicalize_name(asked.name))
        assert found, f"{text}: run make locks"
        assert asked.specifier.contains(found, prereleases=True), f"{text}: run make locks"


@pytest.mark.parametrize("accelerator", Accelerator)
def test_setup_installs_what_is_locked(accelerator):
    """With hashes that are verified; a lock that changes makes a .venv that is out of date."""
    recipe = RECIPES[accelerator]
    rest = list(recipe.rest)
    assert rest[rest.index("--constraints") + 1] == recipe.lock
    assert "--verify-hashes" in rest
    assert "--no-verify-hashes" not in rest
