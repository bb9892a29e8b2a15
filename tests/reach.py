"""Which test files stay inside their own process: those whose tests are unit tests.

A file reaches out where it, a file of tests/ that it imports, or one whose fixture it asks for,
imports something that starts processes, opens sockets, or runs kernels and engines. Nothing is
listed by hand and nothing is run to find out: the imports are read.
"""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"

#: What a program reaches another through, runs on a device, or needs seconds to import.
OUTSIDE = frozenset({
    *("multiprocessing", "socket", "subprocess", "http", "urllib.request"),
    *("aiohttp", "grpc", "openai", "playwright", "psycopg", "redis"),
    *("ray", "torch", "triton", "vllm"),
    # Ours that do little else.
    *("kernels", "benchmarks.kernels", "benchmarks.chaos", "spillway.drills", "spillway.local"),
})  # fmt: skip


@cache
def stays_inside(file: Path) -> bool:
    """Whether the tests of a file are unit tests."""
    return not any(_opens(one) for one in _closure(file))


def _closure(file: Path) -> set[Path]:
    """A test file, and the files of tests/ that it stands on."""
    found, left = set(), [file]
    while left:
        at = left.pop()
        if at not in found:
            found.add(at)
            left += [*_imports(at)[1], *_fixture_files(at)]
    return found


def _opens(file: Path) -> bool:
    return not OUTSIDE.isdisjoint(_imports(file)[0])


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def _imports(file: Path) -> tuple[frozenset[str], frozenset[Path]]:
    """The modules that a file imports, wherever in it, those above them, and files of tests/."""
    packages, files = set(), set()
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        else:
            continue
        packages |= {part for name in names for part in _beginnings(name)}
        files |= {ROOT / f"{name.replace('.', '/')}.py" for name in names if name[:6] == "tests."}
    return frozenset(packages), frozenset(path for path in files if path.exists())


def _beginnings(name: str) -> list[str]:
    """`a.b.c` is within `a` and `a.b`."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _fixture_files(file: Path) -> list[Path]:
    """The conftest files above a file that have a fixture which it asks for."""
    asked = {
        argument.arg
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in node.args.args
    }
    above = [folder / "conftest.py" for folder in file.parents if folder.is_relative_to(TESTS)]
    return [path for path in above if path != file and path.exists() and asked & _fixtures(path)]


@cache
def _fixtures(conftest: Path) -> frozenset[str]:
    return frozenset(
        node.name
        for node in _tree(conftest).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any("fixture" in ast.unparse(mark) for mark in node.decorator_list)
    )
