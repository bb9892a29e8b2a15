"""Run a command with the policy and the simulator compiled to machine code.

    python -m benchmarks.compiled MODULE [ARGUMENT ...]

for example `python -m benchmarks.compiled benchmarks.routing --traces DIR --out DIR`. The sources
are compiled as they stand by mypyc (which comes with mypy, and needs a C compiler): the same code,
about twice as fast, and the pure version stays what it is checked against. What was compiled is
kept in the cache folder under a digest of its sources, so a change to them is never missed.
"""

import hashlib
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMPILED = ("router/policy", "router/sim")  # the modules of these folders, not of those below them
EXIT_FAILED, EXIT_USAGE = 1, 2

_BUILD = """
import sys
from mypyc.build import mypycify
from setuptools import setup
flags = ["--follow-imports=silent", "--ignore-missing-imports"]
optimised = {"opt_level": sys.argv[1], "debug_level": "0"}
setup(name="router", packages=[], ext_modules=mypycify([*sys.argv[2:], *flags], **optimised),
      script_args=["-q", "build_ext", "--inplace"])
"""


class CompileError(RuntimeError):
    """The sources cannot be compiled; the message says what the compiler says."""


def compiled(*, optimised: bool = True) -> Path:
    """A folder to put first on the path, in which `router` is compiled. Raises CompileError.

    What is not optimised does the same, slower, and takes a fraction of the time to compile.
    """
    level = "2" if optimised else "0"
    folder = _cache() / _digest(level)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _build(Path(scratch), level)
            _publish(Path(scratch), folder)
    return folder


def _build(folder: Path, level: str) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "router", folder / "router", ignore=ignored)
    print("compiling the router; this takes about a minute", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, level, *map(str, _sources())],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise CompileError("\n".join(said[-20:]) or "the compiler failed and said nothing")
    shutil.rmtree(folder / "build")


def _publish(scratch: Path, folder: Path) -> None:
    """Move a finished build to its place, unless another process was faster."""
    ready = scratch / "ready"
    ready.mkdir()
    for built in [path for path in scratch.iterdir() if path != ready]:
        built.rename(ready / built.name)
    try:
        ready.rename(folder)
    except OSError:
        if not folder.exists():
            raise


def _sources() -> list[Path]:
    """The modules to compile, relative to the root."""
    return [
        path.relative_to(ROOT)
        for folder in COMPILED
        for path in sorted((ROOT / folder).glob("*.py"))
        if path.name != "__init__.py"
    ]


def _digest(level: str) -> str:
    """Of all sources of `router`, the build above and the interpreter."""
    digest = hashlib.blake2b(f"{sys.version}{_BUILD}{level}".encode(), digest_size=12)
    for path in sorted((ROOT / "router").rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "spillway" / "compiled"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compile if need be, and run the module; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        print((__doc__ or "").strip(), file=sys.stderr)
        return EXIT_USAGE
    try:
        folder = compiled()
    except CompileError as error:
        print(f"benchmarks.compiled: {error}", file=sys.stderr)
        return EXIT_FAILED
    # Processes that the module starts find it too: they are given this path, or the variable.
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(folder), os.environ.get("PYTHONPATH")))
    )
    sys.argv = given
    runpy.run_module(given[0], run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
