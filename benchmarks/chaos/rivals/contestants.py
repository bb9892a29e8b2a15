"""The rivals, how each is started in front of two backends, and what must be installed for it."""

import asyncio
import contextlib
import json
import tempfile
import textwrap
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.chaos.rivals.backend import MODEL
from benchmarks.dataplane.process import Running
from benchmarks.rival_program import MissingError, Program, find, free_port, started

_INSTALL = "benchmarks/chaos/rivals/requirements.txt says how; --programs names its folder"

UP_DEADLINE_S = 40.0
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


def _litellm(urls: Sequence[str]) -> dict[str, object]:
    """Its configuration: one model at all backends, no telemetry, no key."""
    return {
        "model_list": [
            {
                "model_name": MODEL,
                "litellm_params": {
                    "model": f"text-completion-openai/{MODEL}",
                    "api_base": f"{url}/v1",
                    "api_key": "none",
                },
            }
            for url in urls
        ],
        "litellm_settings": {"telemetry": False},
    }


def installed(rival: Rival, programs: Path | None) -> str:
    """The path of a rival's program. Raises MissingError."""
    program = find(rival.program, programs)
    if program is None:
        raise MissingError(f"{rival.name} is not installed ({_INSTALL})")
    return program


@contextlib.asynccontextmanager
async def serving(
    rival: Rival, programs: Path | None, backends: Sequence[int]
) -> AsyncIterator[Running]:
    """The rival in front of backends at these ports. Raises MissingError."""
    program = installed(rival, programs)
    port, metrics = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        command = _command(rival, program, port, metrics, backends, Path(folder))
        async with started(command, Path(folder)) as running:
            await _until_up(rival, running, f"http://127.0.0.1:{port}")
            yield Running(running.process.pid, port)


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
    if rival.program == "litellm":
        (folder / "litellm.json").write_text(json.dumps(_litellm(urls)))
        where = ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [program, "--config", str(folder / "litellm.json"), *where]
    where = ["--host", "127.0.0.1", "--port", str(port), "--prometheus-port", str(metrics)]
    return [program, *rival.arguments, *where, *_HEALTH, "--worker-urls", *urls]


async def _until_up(rival: Rival, running: Program, url: str) -> None:
    """Until it answers a short request."""
    body = {"model": MODEL, "prompt": "up?", "max_tokens": 1, "stream": True}
    try:
        async with asyncio.timeout(UP_DEADLINE_S), aiohttp.ClientSession() as http:
            while running.process.returncode is None:
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.post(f"{url}/v1/completions", json=body) as answer:
                        if answer.status == 200 and b"[DONE]" in await answer.read():
                            return
                await asyncio.sleep(0.2)
    except TimeoutError:
        pass
    raise MissingError(f"{rival.name} does not come up: {running.last_line}")
