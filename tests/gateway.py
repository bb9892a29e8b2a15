"""smg, a gateway of others that drives engines through vLLM's engine API, started for real."""

import contextlib
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import openai

from benchmarks.rival_program import Program, free_port, started
from tests.waiting import until_told

UP_DEADLINE_S = 60.0
"""It looks at a worker, fetches its tokenizer and tries again each few seconds."""

_PROGRAM = Path(sys.executable).with_name("smg")


@dataclass
class Gateway:
    """A running smg, and OpenAI's client of it."""

    program: Program
    url: str
    client: openai.AsyncOpenAI

    def said(self):
        """Its log so far."""
        return self.program.output.read_text(encoding="utf-8", errors="replace")

    async def get(self, path):
        """What it answers to a GET, as JSON."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}{path}") as answer:
            answer.raise_for_status()
            return await answer.json()


@contextlib.asynccontextmanager
async def gateway(*addresses, model, options=()):
    """A running smg in front of servers of vLLM's engine API, once it answers for this model."""
    port, metrics = free_port(), free_port()
    command = [
        *(str(_PROGRAM), "launch", "--host", "127.0.0.1", "--port", str(port)),
        *("--prometheus-port", str(metrics), "--policy", "round_robin", "--log-level", "debug"),
        *("--disable-retries", "--worker-startup-check-interval", "1", *options),
        *("--worker-urls", *(f"grpc://{address}" for address in addresses)),
    ]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="smg") as folder:
        async with (
            started(command, Path(folder)) as program,
            openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client,
        ):
            made = Gateway(program, url, client)
            await _until_up(made, model)
            yield made


async def _until_up(made, model):
    async def answers():
        if made.program.process.returncode is not None:
            return True
        with contextlib.suppress(openai.OpenAIError):
            return await made.client.completions.create(model=model, prompt="up 1", max_tokens=1)

    with contextlib.suppress(TimeoutError):
        await until_told(answers, UP_DEADLINE_S)  # it says nothing when it is up
        if made.program.process.returncode is None:
            return
    raise AssertionError(f"smg does not come up:\n{made.said()[-5000:]}")
