"""GPUs, by what nvidia-smi says."""

import pytest

from spillway.doctor import gpu
from spillway.doctor.finding import Level


@pytest.fixture
def devices(tmp_path):
    """A /dev with one device."""
    folder = tmp_path / "dev"
    folder.mkdir()
    (folder / "nvidia0").touch()
    return folder


def smi(tmp_path, script):
    path = tmp_path / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


GOOD = (
    'case "$1" in --query*) echo "NVIDIA H200, 570.86.15, 143771 MiB";;'
    ' *) echo "| NVIDIA-SMI 570.86.15   Driver Version: 570.86.15   CUDA Version: 12.8 |";; esac'
)


@pytest.mark.outside
def test_each_device_is_named_with_its_driver(devices, tmp_path, monkeypatch):
    """And that torch was built for a CUDA which the driver knows."""
    monkeypatch.setattr(gpu, "_torch_cuda", lambda: (12, 6))
    found = list(gpu.gpus(devices, smi(tmp_path, GOOD)))
    assert [one.level for one in found] == [Level.OK, Level.OK]
    assert found[0].what == "NVIDIA H200, 143771 MiB, driver 570.86.15"
    assert found[1].what == "torch is built for CUDA 12.6, the driver knows 12.8"


@pytest.mark.outside
def test_a_torch_for_a_later_cuda_than_the_driver_s_is_a_problem(devices, tmp_path, monkeypatch):
    """Engines would fail as they start."""
    monkeypatch.setattr(gpu, "_torch_cuda", lambda: (13, 0))
    *_, last = gpu.gpus(devices, smi(tmp_path, GOOD))
    assert last.level is Level.PROBLEM
    assert "newer driver" in last.do


@pytest.mark.outside
def test_a_driver_that_is_not_loaded_is_a_problem_in_its_own_words(devices, tmp_path):
    """What nvidia-smi says of it."""
    (found,) = gpu.gpus(devices, smi(tmp_path, "echo 'has failed to communicate'; exit 9"))
    assert found.level is Level.PROBLEM
    assert "has failed to communicate" in found.what


def test_devices_without_their_tools_are_a_problem_and_no_device_is_none(
    devices, tmp_path, monkeypatch
):
    """A container may have the one without the other."""
    monkeypatch.setattr("shutil.which", lambda _name: None)
    (found,) = gpu.gpus(devices)
    assert found.level is Level.PROBLEM
    (devices / "nvidia0").unlink()
    (found,) = gpu.gpus(devices)
    assert found.level is Level.OK
