"""Every kernel test runs in Triton's interpreter, unless a GPU is there and asked for.

SPILLWAY_KERNELS_ON_GPU=1 runs the same tests on a CUDA device. tests/conftest.py sets what chooses
the interpreter, before any test module can import Triton.
"""

import os
from collections.abc import Iterator

# The interpreter's matrices are tiny: threads would wait for each other. Read when NumPy loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
ON_GPU = os.environ.get("SPILLWAY_KERNELS_ON_GPU") == "1"

import pytest  # noqa: E402
import torch  # noqa: E402

from kernels.testing import patched_interpreter  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def bf16_in_interpreter() -> Iterator[None]:
    """Repair bf16 for every test that runs interpreted."""
    if ON_GPU:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with patched_interpreter():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def device() -> str:
    """Where the tensors of a test live."""
    return "cuda" if ON_GPU else "cpu"
