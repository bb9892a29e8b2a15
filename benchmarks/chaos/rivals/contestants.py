"""The rivals, how each is started in front of two backends, and what must be installed for it."""

import asyncio
import contextlib
import shutil
import socket
import tempfile
import textwrap
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

UP_DEADLINE_S = 40.0
STOP_DEADLINE_S = 5.0
# One look a second, and the second that fails counts: what an operator would choose.
_HEALTH = (
    *("--health-check-interval-secs", "1", "--health-check-timeout-secs", "1"),
    *("--health-failure-threshold", "2", "--health-success-threshold", "1"),
)
_NGINX = """
    daemon off; master_process off; pid {folder}/pid; error_log {folder}/log crit;
    events {{ worker_connections 1024; }}
    http {{
        access_log off;
        client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
        fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
        upstream engines {{ {servers} }}
        server {{
            listen 127.0.0.1:{port};
            location / {{
                proxy_pass http://engines; proxy_http_version 1.1; proxy_set_header Connection "";
                proxy_buffering off; proxy_read_timeout 600s; proxy_connect_timeout 1s;
                proxy_next_upstream error timeout non_idempotent;
            }}
        }}
    }}
"""


class MissingError(Exception):
    """A rival is not installed, or does not come up; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Rival:
    """One rival: its program, and the arguments before those that all of its kind take."""

    name: str
    program: str
    arguments: tuple[str, ...] = ()


RIVALS = (
    Rival("nginx", "nginx"),
    Rival("smg, round robin", "smg", ("launch", "--policy", "round_robin")),
    Rival("smg, cache aware", "smg", ("launch", "--policy", "cache_aware")),
    Rival("sglang-router", "sglang-router", ("launch", "--policy", "round_robin")),
    Rival("vllm-router", "vllm-router", ("--policy", "round_robin")),
)


@contextlib.asynccontextmanager
async def serving(
    rival: Rival, programs: Path | None, backends: Sequence[int]
) -> AsyncIterator[str]:
    """The rival in front of backends at these ports; its base URL. Raises MissingError."""
    program = shutil.which(rival.program, path=str(programs) if programs else None)
    program = program or shutil.which(rival.program)
    if program is None:
        raise MissingError(f"{rival.name} is not installed")
    port, metrics = _free_port(), _free_port()
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        command = _command(rival, program, port, metrics, backends, Path(folder))
        with (Path(folder) / "output").open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=asyncio.subprocess.STDOUT, cwd=folder
            )
        try:
            await _until_up(rival, process, f"http://127.0.0.1:{port}", Path(folder) / "output")
            yield f"http://127.0.0.1:{port}"
        finally:
            await _end(process)


def _command(
    rival: Rival, program: str, port: int, metrics: int, backends: Sequence[int], folder: Path
) -> list[str]:
    if rival.program == "nginx":
        servers = " ".join(
            f"server 127.0.0.1:{backend} max_fails=1 fail_timeout=5s;" for backend in backends
        )
        text = _NGINX.format(folder=folder, servers=servers, port=port)
        (folder / "nginx.conf").write_text(textwrap.dedent(text))
        return [program, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    urls = [f"http://127.0.0.1:{backend}" for backend in backends]
    where = ["--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(metrics)]
    return [program, *rival.arguments, *where, *_HEALTH, "--worker-urls", *urls]


async def _until_up(
    rival: Rival, process: asyncio.subprocess.Process, url: str, output: Path
) -> None:
    """Until it answers a short request."""
    body = {"model": "paced", "prompt": "up?", "max_tokens": 1, "stream": True}
    try:
        async with asyncio.timeout(UP_DEADLINE_S), aiohttp.ClientSession() as http:
            while process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.post(f"{url}/v1/completions", json=body) as answer:
                        if answer.status == 200 and b"[DONE]" in await answer.read():
                            return
                await asyncio.sleep(0.2)
    except TimeoutError:
        pass
    raise MissingError(f"{rival.name} does not come up: {_last_line(output)}")


def _last_line(output: Path) -> str:
    said = output.read_text(errors="replace").strip().splitlines()
    return said[-1][:200] if said else "it says nothing"


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_DEADLINE_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
