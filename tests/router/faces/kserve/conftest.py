"""Triton's own client, in a process of its own, before a router over fake engines."""

import asyncio
import json
import subprocess
import sys
import threading
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


class Program:
    """The program with the client, which is started again where it has ended."""

    def __init__(self):
        self._process = None
        self._telling = threading.Lock()  # one that was given up may not have left yet

    def told(self, command):
        """The line that it answers a command with."""
        with self._telling:
            if self._process is None or self._process.poll() is not None:
                self.end()
                self._process = self._begun()
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()

    def end(self):
        """Ends the process, whatever it is at, and waits for that."""
        if self._process is not None:
            self._process.kill()
            with self._process:  # which closes its pipes, too
                pass

    @staticmethod
    def _begun():
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        return process


class Triton:
    """A program with the client, and a router's address for it."""

    def __init__(self, program, port):
        self._program = program
        self._address = f"127.0.0.1:{port}"

    async def ask(self, name, **given):
        """What a method of the program says; RefusedError where the client raises."""
        command = [self._address, name, given]
        try:
            async with asyncio.timeout(DEADLINE_S):
                line = await asyncio.to_thread(self._program.told, command)
        except TimeoutError:
            self._program.end()  # or the thread waits on, and with it the end of the test
            raise
        answer = json.loads(line)
        if "answer" in answer:
            return answer["answer"]
        raise RefusedError(answer["status"], answer["message"])


@pytest.fixture(scope="session")
def program():
    """One process for all tests: it takes seconds to start."""
    made = Program()
    yield made
    made.end()


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
