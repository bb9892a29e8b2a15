"""The roofline is drawn from what was measured."""

from benchmarks.kernels.timing_picture import draw


def test_a_picture_is_written(tmp_path):
    machine = {"device": "a device", "copy_bytes_s": 4e12, "matmul_ops_s": 8e14}
    problem = {"shape": "p", "operations": 10**9, "bytes": 10**8, "us": {"spillway": 50.0}}
    path = tmp_path / "roofline.png"
    draw(machine, [(problem, 25.0)], path)
    assert path.read_bytes().startswith(b"\x89PNG")
