"""The timing command: its arithmetic, its honesty, and as much of it as needs no GPU."""

import json

import pytest
import torch

from benchmarks.kernels.__main__ import main
from benchmarks.kernels.timing import UNMEASURED
from benchmarks.kernels.timing_problem import make_problem
from benchmarks.kernels.timing_shapes import SHAPES
from benchmarks.kernels.timing_table import floor_us, lines
from kernels.spec import AttentionSpec
from kernels.testing import reference_paged_attention

LLAMA = AttentionSpec(32, 8, 128, 128**-0.5, 64, torch.bfloat16)
TINY = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)
H200 = {"device": "H200", "copy_bytes_s": 4.3e12, "matmul_ops_s": 790e12, "missing": {}}


def work(name):
    """What a problem takes at least, as the worker writes it."""
    (shape,) = (shape for shape in SHAPES if shape.name == name)
    return {"shape": name, "operations": shape.operations(LLAMA), "bytes": shape.bytes_read(LLAMA)}


@pytest.mark.parametrize(
    ("name", "us"),
    [
        ("decode 1 x 32k", 31.2),
        ("decode 64 x 4k", 250),
        ("prefill q2k", 43.5),
        ("prefill q8k", 696),
        # 32k once and 256 of each row; 1,024 keys of each of 8 rows.
        ("shared 32k x 64", (32768 + 64 * 256) * 4096 / 4.3e6),
        ("window 1k of 8 x 16k", 8 * 1024 * 4096 / 4.3e6),
    ],
)
def test_floors_follow_from_the_ceilings(name, us):
    assert floor_us(H200, work(name)) == pytest.approx(us, rel=0.01)


def test_a_failed_check_hides_the_time_and_is_told():
    """So does a rival's; a missing rival is named with its reason."""
    good = work("decode 8 x 16k") | {"us": {"spillway": 125.0, "FA3": 150.0}, "faults": {}}
    bad = work("prefill q8k") | {"us": {}, "faults": {"spillway": "max error 1"}}
    machine = H200 | {"missing": {"flex": "no compiler"}}
    said = list(lines(machine, [good | {"checked": True}, bad | {"checked": False}]))
    row = next(line for line in said if line.startswith("decode 8 x 16k"))
    assert "4.29 TB/s" in row
    assert "150.0 (1.20x)" in row
    assert "WRONG" in next(line for line in said if line.startswith("prefill q8k"))
    assert said[-2:] == [
        "FAILED prefill q8k, spillway: max error 1",
        "rival not here, flex: no compiler",
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_a_wrong_result_is_found(shape):
    """By samples; the right one passes."""
    problem = make_problem(shape.tiny(), TINY, "cpu")
    tensors = (problem.kv_cache, problem.block_table, problem.seq_lens, problem.query_start_loc)
    right, _ = reference_paged_attention(problem.q, *tensors, problem.spec)
    right = right.to(torch.bfloat16)
    assert not problem.fault(right)
    assert "error" in problem.fault(right * 1.1)
    assert "finite" in problem.fault(problem.out())


def test_rows_that_share_a_prefix_share_its_pages():
    (shape,) = (shape for shape in SHAPES if shape.shared)
    problem = make_problem(shape.tiny(), TINY, "cpu")
    pages = shape.tiny().shared // TINY.block_size
    shared, own = problem.block_table[:, :pages], problem.block_table[:, pages]
    assert (shared == shared[0]).all()
    assert len(set(own.tolist())) == len(own)


@pytest.mark.parametrize(
    "arguments",
    [["time", "--fa3", "nowhere.so"], ["time", "--vllm", "nowhere"], ["time", "--only"], ["tiem"]],
)
def test_bad_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "error" in capsys.readouterr().err


@pytest.mark.slow
def test_without_a_gpu_it_checks_and_says_that_nothing_was_measured(tmp_path, capsys, monkeypatch):
    """The roofline is declined, and no rival is passed over in silence."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = tmp_path / "time.json"
    arguments = ["time", "--json", str(path), "--picture", str(tmp_path / "roofline.png")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert UNMEASURED in said
    assert all(f"rival not here, {name}" in said for name in ("cuDNN", "flash", "flex", "FA3"))
    problems = json.loads(path.read_text())["problems"]
    assert [problem["shape"] for problem in problems] == [shape.name for shape in SHAPES]
    assert all(problem["checked"] and not problem["us"] for problem in problems)
    assert not (tmp_path / "roofline.png").exists()
