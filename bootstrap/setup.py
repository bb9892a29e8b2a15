"""Makes .venv, or sees in a moment that it is made."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bootstrap.environment import Environment, one_at_a_time
from bootstrap.failure import TORCH_INDEX_VARIABLE, SetupError
from bootstrap.machine import accelerator, require_disk, require_linux, require_venv_module
from bootstrap.progress import Progress, run
from bootstrap.recipe import RECIPES, Accelerator, Recipe

# Says nothing of the files that are templates, or made for another Python.
COMPILE = (
    "import compileall, site; compileall.compile_dir(site.getsitepackages()[0], quiet=2, workers=0)"
)


def main() -> int:
    """Set up the folder this package lies in; 0, or 1 after a sentence, or 130 after Ctrl-C."""
    return ended(set_up, "Setup")


def ended(install: Callable[[Path, Progress], None], named: str) -> int:
    """How the installing of something into the folder this package lies in has ended.

    0, or 1 after a sentence, or 130 after Ctrl-C.
    """
    root = Path(__file__).resolve().parent.parent
    progress = Progress()
    try:
        install(root, progress)
    except SetupError as error:
        progress.say(f"{named} failed. {error}")
        return 1
    except OSError as error:
        progress.say(f"{named} failed. {error.filename or root}: {error.strerror}.")
        return 1
    except KeyboardInterrupt:
        progress.say("Setup interrupted: run it again and it starts afresh.")
        return 130
    return 0


def set_up(root: Path, progress: Progress) -> None:
    """Leave a finished .venv under `root`.

    Raises:
        SetupError: it cannot be made; the message says what to do.
    """
    require_linux()
    recipe = RECIPES[accelerator()]
    environment = Environment(root)
    fingerprint = recipe.fingerprint(root)
    with one_at_a_time(root, progress):
        if environment.is_finished(fingerprint):
            return
        if environment.exists():
            progress.say("Rebuilding .venv: it is unfinished, or made from other versions.")
            environment.remove()
        require_venv_module()
        require_disk(root, recipe)
        started_s = time.monotonic()
        install(environment, recipe, progress)
        environment.finish(fingerprint)
        progress.say(f"Setup finished in {time.monotonic() - started_s:.0f} s.")


def install(environment: Environment, recipe: Recipe, progress: Progress) -> None:
    """Run the recipe's steps in an empty .venv."""
    python = str(environment.python)
    scratch = environment.path / "tmp"  # so that an interrupted installer leaves nothing elsewhere
    engine = "CPU" if recipe.accelerator is Accelerator.CPU else "GPU"
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "TMPDIR": str(scratch)}
    env.pop("PYTHONPATH", None)
    env.pop("VIRTUAL_ENV", None)
    run("[1/4] Making .venv", [sys.executable, "-m", "venv", str(environment.path)], env, progress)
    scratch.mkdir()
    packages, pip = recipe.first_packages, pip_command(python)
    install_first(f"[2/4] Installing {' and '.join(packages)}", pip, packages, env, progress)
    uv = [python, "-m", "uv", "pip", "install", "--python", python]
    run(
        f"[3/4] Installing Ray, vLLM ({engine} engine) and the tools",
        [*uv, *recipe.rest],
        {**env, **pip_settings_for_uv(python, env)},
        progress,
    )
    # Once, here: where Python may not write bytecode (PYTHONDONTWRITEBYTECODE), every process would
    # compile what it imports, which is two thirds of an engine's start. Not by the installers: pip
    # does it on one core, and uv leaves out what pip has installed.
    run("[4/4] Compiling what is installed", [python, "-c", COMPILE], env, progress)
    shutil.rmtree(scratch, ignore_errors=True)


def pip_command(python: str) -> list[str]:
    """How packages are installed by an environment's pip."""
    quiet = ("--no-compile", "--progress-bar", "off")
    return [python, "-m", "pip", "install", "--retries", "1", *quiet]


def install_first(
    step: str, pip: list[str], packages: tuple[str, ...], env: Mapping[str, str], progress: Progress
) -> None:
    """The configured index first; PyTorch's own only where that one lacks the CPU build.

    As a second index for everything, an unreachable one would be retried for each package.
    """
    try:
        run(step, [*pip, *packages], env, progress)
    except SetupError:
        fallback = os.environ.get(TORCH_INDEX_VARIABLE, "")
        if not fallback:
            raise
        progress.say(f"Trying again with the index that {TORCH_INDEX_VARIABLE} names.")
        run(step, [*pip, "--extra-index-url", fallback, *packages], env, progress)


def pip_settings_for_uv(python: str, env: Mapping[str, str]) -> dict[str, str]:
    """The index and the certificates that pip is configured with: uv does not read pip's files."""
    listed = subprocess.run(
        [python, "-m", "pip", "config", "list"],
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    wanted = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    settings: dict[str, str] = {}
    for line in listed.splitlines():  # the environment's settings come last, and win
        name, _, value = line.partition("=")
        variable = wanted.get(name.rpartition(".")[2])
        if variable and variable not in env:
            settings[variable] = value.strip("'\"")
    return settings
