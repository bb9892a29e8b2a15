"""The processes of a run: started with their port on standard output, ended by their input."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio

START_TIMEOUT_S = 30.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


async def serve_until_stdin_closes(handler: grpc.GenericRpcHandler) -> None:
    """Serve `handler` on a free loopback port, print the port, and end with standard input."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # gRPC would print a traceback for each call that is open


@dataclass(frozen=True, slots=True)
class Running:
    """A started process and the port it listens on."""

    pid: int
    port: int

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"


@contextlib.asynccontextmanager
async def running(module: str, arguments: Sequence[str]) -> AsyncIterator[Running]:
    """A Python module run as a process that prints its port first; ended on the way out."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None  # noqa: PT018, S101 - for mypy
    try:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                line = await process.stdout.readline()
        except TimeoutError:
            raise RuntimeError(f"{module} does not start in {START_TIMEOUT_S:.0f} s") from None
        if not line.strip().isdigit():
            raise RuntimeError(f"{module} did not start: its first line was {line!r}")
        yield Running(process.pid, int(line))
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(5):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def cpu_s(pid: int) -> float:
    """CPU time of a process and all its descendants alive, in seconds."""
    total = _own_cpu_s(pid)
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            children = (task / "children").read_text(encoding="ascii").split()
            total += sum(cpu_s(int(child)) for child in children)
    return total


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, in bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _own_cpu_s(pid: int) -> float:
    # /proc/PID/schedstat counts nanoseconds but the main thread only; stat counts all threads in
    # ticks of 10 ms, which a run of some seconds makes small.
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(")")[2].split()
    user, system, child_user, child_system = (int(field) for field in fields[11:15])
    return (user + system + child_user + child_system) * TICK_S
