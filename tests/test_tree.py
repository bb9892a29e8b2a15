"""The habits of the tree that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("spillway", "router", "serving", "kernels", "benchmarks", "wire")


def tracked(*patterns):
    """Tracked files; in an unpacked archive, where git knows nothing, all files."""
    git = subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if git.returncode:
        return [path for pattern in patterns for path in ROOT.rglob(pattern)]
    return [path for line in git.stdout.splitlines() if (path := ROOT / line).exists()]


def hand_written():
    return [path for path in tracked("*.py") if "_pb2" not in path.name]


def test_no_hand_written_file_is_longer_than_400_lines():
    """A file is read in one sitting."""
    lengths = {path: len(path.read_text().splitlines()) for path in hand_written()}
    assert not {str(path): length for path, length in lengths.items() if length > 400}


def test_no_function_is_longer_than_70_lines():
    """A function is read on one screen; a kernel's parameters, one a line, are not counted."""
    long = []
    for path in hand_written():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                jitted = any("triton.jit" in ast.unparse(mark) for mark in node.decorator_list)
                first = node.body[0].lineno if jitted else node.lineno
                length = (node.end_lineno or node.lineno) - first + 1
                if length > 70:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {length}")
    assert not long


def test_nothing_is_named_for_having_no_name():
    """A helper lives beside its caller or under a noun."""
    forbidden = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert not [p for p in tracked("*.py") if {p.stem, *p.relative_to(ROOT).parts} & forbidden]


def test_every_test_file_has_a_test():
    """A file that is collected and tests nothing looks like coverage and is none."""
    empty = [
        path
        for path in tracked("tests/**/test_*.py", "tests/test_*.py")
        if not any(
            (
                isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and node.name.lower().startswith("test")
            )
            or (isinstance(node, ast.Name) and node.id.startswith("Test"))
            for node in ast.walk(ast.parse(path.read_text()))
        )
    ]
    assert not empty


def test_import_contracts_hold():
    """Who may import whom is in pyproject.toml; import-linter reads the real imports."""
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_generated_code_is_fresh(tmp_path):
    """What protoc makes of the .proto files is what is committed beside them."""
    protos = [str(path.relative_to(ROOT)) for path in tracked("wire/**/*.proto")]
    assert protos
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", *out, *protos]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    made = [path.relative_to(tmp_path) for path in tmp_path.rglob("*_pb2*")]
    assert made
    stale = [str(p) for p in made if (tmp_path / p).read_bytes() != (ROOT / p).read_bytes()]
    assert not stale, "run `make proto`"


def test_the_router_and_the_client_need_no_engine():
    """`pip install .` alone must do: torch, ray and vllm are never imported on their behalf."""
    code = (
        "import sys\n"
        "for name in ('torch', 'ray', 'vllm', 'triton', 'transformers', 'numpy', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "import router.live.router, router.faces.openai.server\n"
        "import spillway.client, spillway.cli, spillway.fleet\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.slow
def test_transformers_imports_beside_our_kernels():
    """Transformers probes a package named `kernels`; ours must not look like that one."""
    code = (
        "import importlib.util, kernels, transformers\n"
        "assert not hasattr(kernels, '__version__')\n"
        "transformers.AutoConfig.for_model('llama')\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
