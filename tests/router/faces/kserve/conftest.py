"""Triton's own client, in a process of its own, before a router over fake engines."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.router.live.conftest import address, engine, route
from tests.waiting import DEADLINE_S
from wire.kserve import inference_pb2_grpc

PROGRAM = Path(__file__).with_name("triton_program.py")


class RefusedError(Exception):
    """What the client raised."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Triton:
    """A program with the client, and a router's address for it."""

    def __init__(self, process, port):
        self._process = process
        self._address = f"127.0.0.1:{port}"

    async def ask(self, name, **given):
        """What a method of the program says; RefusedError where the client raises."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                line = await asyncio.to_thread(self._told, [self._address, name, given])
        except TimeoutError:
            self._process.kill()  # or the thread waits on, and with it the end of the test
            raise
        answer = json.loads(line)
        if "answer" in answer:
            return answer["answer"]
        raise RefusedError(answer["status"], answer["message"])

    def _told(self, command):
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@pytest.fixture(scope="session")
def program():
    """One process for all tests: it takes seconds to start."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.terminate()


@pytest.fixture
def triton_of(program):
    """Makes Triton's client of a router."""
    return lambda routed: Triton(program, routed.router.port)


@pytest.fixture
async def routed():
    """A router over one engine that answers without pause."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as router:
        yield router


@pytest.fixture
def triton(triton_of, routed):
    """Triton's client of that router."""
    return triton_of(routed)


@pytest.fixture
def stub(routed):
    """The bare service of that router."""
    return inference_pb2_grpc.GRPCInferenceServiceStub(routed.channel)
