"""Makes .clients, or sees in a moment that it is made: programs of others, for tests of faces.

It runs in .venv, which has the installer.
"""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Final

from bootstrap.environment import Environment, one_at_a_time
from bootstrap.progress import Progress, run
from bootstrap.recipe import CPU_TORCH
from bootstrap.setup import COMPILE, ended, install_first, pip_command, pip_settings_for_uv

FOLDER: Final = ".clients"
REQUIREMENTS: Final = "tests/clients/requirements.txt"


def main() -> int:
    """Set up the folder this package lies in; 0, or 1 after a sentence, or 130 after Ctrl-C."""
    return ended(set_up, "Setup of the clients")


def set_up(root: Path, progress: Progress) -> None:
    """Leave a finished .clients under `root`.

    Raises:
        SetupError: it cannot be made; the message says what to do.
    """
    environment = Environment(root, FOLDER)
    wanted = fingerprint(root)
    with one_at_a_time(root, progress):
        if environment.is_finished(wanted):
            return
        environment.remove()
        started_s = time.monotonic()
        install(root, environment, progress)
        environment.finish(wanted)
        progress.say(f"Setup of the clients finished in {time.monotonic() - started_s:.0f} s.")


def fingerprint(root: Path) -> str:
    """Changes when a .clients is out of date, or moved with its folder."""
    digest = hashlib.sha256(f"{root.resolve()} {CPU_TORCH}".encode())
    digest.update((root / REQUIREMENTS).read_bytes())
    return digest.hexdigest()


def install(root: Path, environment: Environment, progress: Progress) -> None:
    """Run the steps in an empty .clients.

    One of them wants PyTorch, for which its CPU build is enough, and the smaller by far.
    """
    python, folder = str(environment.python), str(environment.path)
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.pop("PYTHONPATH", None)
    env.pop("VIRTUAL_ENV", None)
    run(f"[1/4] Making {FOLDER}", [sys.executable, "-m", "venv", folder], env, progress)
    step = f"[2/4] Installing {CPU_TORCH} for them"
    install_first(step, pip_command(python), (CPU_TORCH,), env, progress)
    overrides = environment.path / "overrides.txt"
    overrides.write_text(f"{CPU_TORCH}\n", encoding="utf-8")
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", python]
    run(
        "[3/4] Installing programs of others, for tests",
        [*uv, "--overrides", str(overrides), "-r", str(root / REQUIREMENTS)],
        {**env, **pip_settings_for_uv(python, env)},
        progress,
    )
    # As in .venv: they are started for each test, and import for long.
    run("[4/4] Compiling what is installed", [python, "-c", COMPILE], env, progress)


if __name__ == "__main__":
    sys.exit(main())
