"""The images: what they copy is there, what they install is what the project asks for, pinned.

No engine that builds images runs here. What a build does is done by hand where that is possible.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.deploy.helm import CASES, ROOT, overlay, render
from tests.deploy.pods import pods

IMAGES = ROOT / "deploy" / "images"
LOCKS = {"router": (), "site-gpu": ("serving",), "site-cpu": ("cpu",)}
"""Each image, with the project's extras that it has."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINNED = re.compile(
    r"^([a-z0-9-]+)==(\S+)((?: ; [^\\]+)?) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)",
    re.MULTILINE,
)


def lock(name):
    """What a lock pins: names to versions. Everything in it is pinned, with hashes."""
    text = (IMAGES / "locks" / f"{name}.txt").read_text()
    found = PINNED.findall(text)
    assert "".join(f"{n}=={v}{m} \\\n{h}" for n, v, m, h in found) == text
    return {name: version for name, version, _, _ in found}


def recipe(name):
    """The lines of a Containerfile, each with what it goes on with, as instruction and rest."""
    text = (IMAGES / f"{name}.Containerfile").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_what_the_project_asks_for(name):
    """In the very version, and so `make locks` was run."""
    asked = [*PROJECT["project"]["dependencies"]]
    for extra in LOCKS[name]:
        asked += PROJECT["project"]["optional-dependencies"][extra]
    pinned = lock(name)
    for text in asked:
        wanted = Requirement(text)
        found = pinned[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(found, prereleases=True), f"{text}: run make locks"


@pytest.mark.parametrize("name", LOCKS)
def test_an_image_is_made_of_what_is_there(name):
    """Every path that it copies, none of which is kept from it, and every package of ours."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = [line[1:] for line in ignored if line.startswith("!")]
    assert "*" in ignored
    copied = set()
    for instruction, rest in recipe(name):
        if instruction == "COPY" and not rest.startswith("--from"):
            *sources, _ = rest.split()
            for source in sources:
                assert (ROOT / source).exists(), source
                assert any(source == one or source.startswith(f"{one}/") for one in allowed), source
            copied.update(sources)
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert f"deploy/images/locks/{name}.txt" in copied


@pytest.mark.parametrize("name", LOCKS)
def test_an_image_installs_with_hashes_and_runs_as_nobody(name):
    """The user that the charts name, and bases that are pinned."""
    lines = recipe(name)
    installs = [part for _, rest in lines for part in rest.split("&&") if "pip install" in part]
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert all("--no-deps" in one for one in installs)
    assert [rest for instruction, rest in lines if instruction == "USER"] == ["1000:1000"]
    users = {pod.spec["securityContext"]["runAsUser"] for pod in every_pod()}
    assert users == {1000}
    bases = [
        rest for instruction, rest in lines if instruction == "ARG" and rest.startswith("PYTHON=")
    ]
    assert re.fullmatch(r"PYTHON=\S+:3\.11\.\d+\S*", bases[0])


def every_pod():
    """Of all overlays."""
    return [pod for name, chart in CASES.items() for pod in pods(render(chart, overlay(name)))]


def test_the_charts_run_programs_that_their_images_have():
    """Ours by its name; KubeRay starts Ray by its own."""
    scripts = set(PROJECT["project"]["scripts"])
    [entry] = [rest for instruction, rest in recipe("router") if instruction == "ENTRYPOINT"]
    assert yaml.safe_load(entry) == ["spillway"]
    for pod in every_pod():
        for container in pod.spec["containers"]:
            stem = container["image"].rpartition("/")[2].partition(":")[0]
            if not container["image"].startswith("registry.example.org/spillway/"):
                continue
            assert stem in LOCKS
            if "command" in container:
                assert set(container["command"]) <= scripts
    for name in ("site-gpu", "site-cpu"):
        [linked] = [rest for _, rest in recipe(name) if "ln -s" in rest]
        programs = re.findall(r"/opt/spillway/bin/(\w+)", linked)
        assert set(programs) == {"ray", "serve", "spillway"}
        for program in programs:
            assert shutil.which(program, path=Path(sys.executable).parent)


def test_nothing_names_where_packages_come_from():
    """That is the builder's own business."""
    for path in IMAGES.rglob("*"):
        if path.is_file():
            assert not re.search(r"https?://|--index-url \w|find-links", path.read_text()), path


def uv(*arguments, **options):
    """A command of uv's, whose answer is checked."""
    done = subprocess.run(
        [sys.executable, "-m", "uv", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_resolves(name, tmp_path):
    """With each hash, and with all that its packages ask for."""
    more = ()
    if name == "site-cpu":  # PyTorch's CPU build is no part of the common index
        folder = os.environ.get("PIP_FIND_LINKS")
        if not folder:
            pytest.skip("PIP_FIND_LINKS names no folder that has PyTorch's CPU build")
        more = ("--find-links", folder, "--overrides", ROOT / "bootstrap" / "cpu-overrides.txt")
    venv.create(tmp_path / "env")
    python = tmp_path / "env" / "bin" / "python"
    said = uv(
        *("pip", "install", "--dry-run", "--require-hashes", "--python", python, *more),
        *("--python-platform", "x86_64-manylinux_2_28"),
        *("-r", IMAGES / "locks" / f"{name}.txt"),
    )
    assert f"Would install {len(lock(name))} packages" in said


@pytest.mark.slow
def test_the_steps_of_a_build_give_a_router(tmp_path):
    """Those of router.Containerfile, on this machine instead of in an image."""
    for name in ("build", "image"):
        venv.create(tmp_path / name, with_pip=True)
    source = tmp_path / "src"
    source.mkdir()
    for instruction, rest in recipe("router"):
        if instruction == "COPY" and not rest.startswith(("--from", "deploy/")):
            *names, _ = rest.split()
            for name in names:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / name)
                else:
                    shutil.copy(ROOT / name, source / name)
    text = " && ".join(rest for instruction, rest in recipe("router") if instruction == "RUN")
    steps = [step.strip() for step in text.split("&&")]
    pip_steps = [step for step in steps if fnmatch.fnmatch(step, "*/bin/pip *")]
    assert len(pip_steps) == 4
    for step in pip_steps:
        command = (
            step.replace("/opt/spillway", str(tmp_path / "image"))
            .replace("/build/", f"{tmp_path / 'build'}/")
            .replace("/locks", str(IMAGES / "locks"))
            .replace("/wheels", str(tmp_path / "wheels"))
        )
        done = subprocess.run(
            ["sh", "-ec", command], cwd=source, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    spillway = tmp_path / "image" / "bin" / "spillway"
    said = subprocess.run(
        [spillway, "fleet", "check", ROOT / "deploy" / "fleet.example.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr
