"""Programs of others, unmodified, in front of routers and sites over fake engines."""

import asyncio
import contextlib
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.rival_program import started
from serving.fake_engine import TOKENIZER
from tests.router.live.conftest import SETTINGS, address, be_patient, engine, route

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("SPILLWAY_CLIENTS", ROOT / ".clients")) / "bin"
"""Where `make clients` installs them."""

RUN_DEADLINE_S = 240.0
"""They import for long, and a busy machine makes it longer."""

CONFIG = {"vocab_size": 257, "model_type": "llama", "max_position_embeddings": 32_768}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """What a router does about silences is not its clients' matter."""
    be_patient(monkeypatch)


def path_of(name):
    """The path of an installed program; the test is left out where it is not installed."""
    found = shutil.which(name, path=str(FOLDER))
    if found is None:
        pytest.skip(f"{name} is not installed: make clients")
    return found


def environment(**more):
    """What a program finds in its environment: nothing of this project."""
    mine = {"PYTHONPATH", "VIRTUAL_ENV", "TRITON_INTERPRET"}
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    return {key: value for key, value in os.environ.items() if key not in mine} | quiet | more


async def output_of(*command, folder, **more):
    """What a program says, once it has ended well."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        cwd=folder,
        env=environment(**more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(RUN_DEADLINE_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = said.decode(errors="replace")
    assert process.returncode == 0, text[-5_000:]
    return text


async def program_says(name, *arguments, folder):
    """The JSON that a program of ours prints in the environment of the clients."""
    program = Path(__file__).with_name(name)
    said = await output_of(path_of("python"), program, *arguments, folder=folder)
    return json.loads(said.strip().splitlines()[-1])


@pytest.fixture
def tokenizer(tmp_path):
    """The fake engine's tokenizer as a folder of a model, for clients that have their own."""
    folder = tmp_path / "model"
    shutil.copytree(TOKENIZER, folder)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


@pytest.fixture
async def fleet():
    """A router with OpenAI's face over two fake engines, and the first of these."""
    settings = replace(SETTINGS, openai_listen="127.0.0.1:0", load_silence_max_s=5.0)
    async with (
        engine(itl_s=0.001) as one,
        engine(itl_s=0.001) as other,
        route({"home": [address(one), address(other)]}, settings) as routed,
    ):
        yield routed, one


@pytest.fixture
def url(fleet):
    """Where OpenAI's API is."""
    return f"http://127.0.0.1:{fleet[0].router.openai_port}"


@contextlib.asynccontextmanager
async def serving(*command, folder, **more):
    """A program that serves for as long as a test asks it."""
    async with started([*map(str, command)], folder, environment(**more)) as program:
        yield program
