"""Nothing that came from elsewhere is run: no pickles, no eval, no shell, no code of a model."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("router", "serving", "spillway", "wire", "kernels", "bootstrap")

UNPICKLES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "jsonpickle",
}
RUNS = {"eval", "exec", "compile", "__import__"}
CALLS = {
    "os.system": "a shell",
    "os.popen": "a shell",
    "subprocess.getoutput": "a shell",
    "subprocess.getstatusoutput": "a shell",
    "asyncio.create_subprocess_shell": "a shell",
    "yaml.load": "yaml.safe_load",
    "yaml.full_load": "yaml.safe_load",
    "yaml.unsafe_load": "yaml.safe_load",
    "numpy.load": "safetensors",
    "np.load": "safetensors",
    "torch.load": "safetensors",
    "joblib.load": "safetensors",
}
OFF = {"shell", "trust_remote_code", "allow_pickle"}
"""Arguments by which a call runs what it is given."""


def problems(tree):
    """Each place that could run what it was given, with what it is."""
    imports = (node for node in ast.walk(tree) if isinstance(node, ast.Import))
    has_pyyaml = any(one.name == "yaml" for node in imports for one in node.names)
    for node in ast.walk(tree):
        said = []
        if isinstance(node, ast.Import):
            said = [f"imports {one.name}" for one in node.names if unpickles(one.name)]
        elif isinstance(node, ast.ImportFrom) and unpickles(node.module or ""):
            said = [f"imports {node.module}"]
        elif isinstance(node, ast.Constant) and node.value in RUNS | {"pickle"}:
            said = [f"names {node.value}"]
        elif isinstance(node, ast.Call):
            said = [*in_call(node, has_pyyaml), *in_arguments(node)]
        yield from ((node.lineno, one) for one in said)


def unpickles(module):
    return module.partition(".")[0] in UNPICKLES


def in_call(node, has_pyyaml):
    called = ast.unparse(node.func)
    if called.removeprefix("builtins.") in RUNS:
        yield f"calls {called}"
    if called in CALLS and (has_pyyaml or not called.startswith("yaml.")):
        yield f"calls {called}: use {CALLS[called]}"
    if called.endswith("import_module") and not isinstance(node.args[0], ast.Constant):
        yield "imports what it is told"


def in_arguments(node):
    for keyword in node.keywords:
        value = keyword.value
        off = isinstance(value, ast.Constant) and value.value is False
        if keyword.arg in OFF and not off:
            yield f"{keyword.arg} is not off"
        if keyword.arg == "weights_only" and off:
            yield "weights_only is off"
        if keyword.arg == "typ" and ast.unparse(value) == "'unsafe'":
            yield "reads YAML that makes objects"


def test_the_tree_runs_nothing_that_it_is_given():
    """In all that is installed; what is generated imports nothing of the kind either."""
    found = []
    for package in PRODUCT:
        paths = sorted((ROOT / package).rglob("*.py"))
        assert paths
        for path in paths:
            where = path.relative_to(ROOT)
            tree = ast.parse(path.read_text())
            found += [f"{where}:{at}: {what}" for at, what in problems(tree)]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from cloudpickle import loads",
        "import numpy, marshal",
        "eval(x)",
        "builtins.exec(x)",
        "subprocess.run(x, shell=True)",
        "subprocess.Popen(x, shell=flag)",
        "os.system(x)",
        "asyncio.create_subprocess_shell(x)",
        "import yaml\nyaml.load(x)",
        "YAML(typ='unsafe')",
        "torch.load(x, weights_only=False)",
        "np.load(x, allow_pickle=True)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "importlib.import_module(name)",
        "getattr(builtins, 'eval')(x)",
    ],
)
def test_each_of_these_would_be_found(source):
    """The net has no hole of this size."""
    assert list(problems(ast.parse(source)))
