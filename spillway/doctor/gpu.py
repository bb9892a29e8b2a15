"""NVIDIA devices, their driver, and whether the installed torch can use them."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from spillway.doctor.finding import Finding, ok, problem, warning

ASK_S = 10.0  # a driver that is being loaded takes seconds
_CUDA = re.compile(r"CUDA Version:\s*(\d+)\.(\d+)")
_TORCH_CUDA = re.compile(r"^cuda[^=]*=\s*['\"](\d+)\.(\d+)", re.MULTILINE)
_DEVICE = re.compile(r"nvidia\d+")


def gpus(devices: Path = Path("/dev"), program: str | None = None) -> Iterator[Finding]:
    """`program` is nvidia-smi, where it is not on the path."""
    there = [one.name for one in devices.iterdir() if _DEVICE.fullmatch(one.name)]
    program = program or shutil.which("nvidia-smi")
    if program is None:
        if there:
            said = f"{len(there)} NVIDIA devices, and no nvidia-smi on the path"
            yield problem(
                "gpu", said, "install the driver's tools, or mount them into this container"
            )
        else:
            yield ok("gpu", "no NVIDIA device: engines run on the CPU")
        return
    try:
        listed = _ask(
            program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"
        )
        driver_cuda = _CUDA.search(_ask(program))
    except (OSError, subprocess.SubprocessError) as error:
        said = f"nvidia-smi fails: {_reason(error)}"
        yield problem(
            "gpu", said, "the driver is not loaded, or older than its tools: reinstall it"
        )
        return
    for line in listed.splitlines():
        name, driver, memory = (part.strip() for part in line.split(","))
        yield ok("gpu", f"{name}, {memory}, driver {driver}")
    yield from _torch(driver_cuda)


def _torch(driver: re.Match[str] | None) -> Iterator[Finding]:
    """Whether the CUDA that torch was built with is one that the driver knows."""
    built = _torch_cuda()
    if driver is None:
        return
    knows = ".".join(driver.groups())
    if built is None:
        do = "make setup with SPILLWAY_ACCELERATOR=cuda"
        yield warning("gpu", f"the driver knows CUDA {knows}, and no torch for CUDA is here", do)
    elif built[0] > int(driver[1]):
        said = f"torch is built for CUDA {built[0]}.{built[1]}, the driver knows {knows}"
        yield problem("gpu", said, "install a newer driver, or a torch for its CUDA")
    else:
        yield ok("gpu", f"torch is built for CUDA {built[0]}.{built[1]}, the driver knows {knows}")


def _torch_cuda() -> tuple[int, int] | None:
    """Of the installed torch, without importing it, which takes seconds."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).with_name("version.py")
    match = _TORCH_CUDA.search(path.read_text()) if path.exists() else None
    return (int(match[1]), int(match[2])) if match else None


def _ask(program: str, *arguments: str) -> str:
    done = subprocess.run(  # noqa: S603 - the machine's own nvidia-smi
        [program, *arguments], capture_output=True, text=True, timeout=ASK_S, check=True
    )
    return done.stdout


def _reason(error: Exception) -> str:
    said = getattr(error, "stdout", None) or getattr(error, "stderr", None) or str(error)
    return " ".join(str(said).split())[-200:]
