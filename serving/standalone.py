"""A replica in a plain grpc.aio server: one process, one engine, no Ray.

For tests and benchmarks, and for a single machine that needs no cluster:
`python -m serving.standalone port=50051 model=/models/llama vllm.max_model_len=8192`, with the
arguments of serving.settings and those of serving.listening.
"""

import asyncio
import os
import signal
import sys

import grpc

from serving.answer_trace import SERVICE
from serving.engine import Engine, EngineDeadError
from serving.engines import start_engine
from serving.lease_door import LeaseTerms
from serving.lease_terms import read_terms
from serving.listening import Listening, read_listening
from serving.replica import REQUESTS_MAX, Replica, add_replica_to_server
from serving.server_options import SERVER_OPTIONS
from serving.settings import SettingsError, read_settings
from wire.core_dumps import leave_none
from wire.logs.writing import log_lines
from wire.tls.files import TlsError
from wire.tls.server import HANDSHAKE_OPTIONS
from wire.tracing.tracer import NOTHING, Tracer, TracingError, open_tracer

OWN_PORT = ("grpc.so_reuseport", 0)
"""A port that is taken is an error, not a second server on it."""

GRACE_S = 10.0
"""How long streams may go on after SIGTERM, where `grace_s` does not say."""


class StandaloneServer:
    """A running server, the port it got and the replica behind it."""

    def __init__(self, server: grpc.aio.Server, port: int, replica: Replica) -> None:
        self._server = server
        self.port = port
        self.replica = replica

    async def stop(self, grace_s: float = 0.0) -> None:
        """Drains for at most grace_s, then ends what is left, and the engine."""
        self.replica.board.drain()
        await self._server.stop(grace_s)
        await self.replica.engine.shutdown()


async def serve_standalone(
    engine: Engine,
    listening: Listening = Listening(),  # noqa: B008 - a frozen value
    requests_max: int = REQUESTS_MAX,
    terms: LeaseTerms = LeaseTerms(),  # noqa: B008 - a frozen value
    tracer: Tracer = NOTHING,
) -> StandaloneServer:
    """Serves engine where `listening` says.

    Raises OSError where the port is taken, TlsError for files that cannot be used.
    """
    server = grpc.aio.server(
        interceptors=listening.interceptors(),
        options=(*SERVER_OPTIONS, *HANDSHAKE_OPTIONS, OWN_PORT),
    )
    replica = Replica(engine, requests_max, terms, tracer)
    add_replica_to_server(replica, server)
    try:
        bound = listening.add_port(server)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {listening.address}: {error}") from error
    await server.start()
    return StandaloneServer(server, bound, replica)


async def run(arguments: dict[str, str]) -> None:
    """Serves until SIGTERM or SIGINT, then drains. Prints the address once requests are welcome."""
    listening = read_listening(arguments)
    grace_s = float(arguments.pop("grace_s", GRACE_S))
    settings = read_settings(arguments)
    terms = read_terms(settings, os.environ)
    tracer = open_tracer(settings.traced, SERVICE)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        engine = await start_engine(settings)
    except (EngineDeadError, SettingsError):
        if stopped.is_set():  # a signal to all of the group ended vLLM's process as well
            return
        raise
    try:
        server = await serve_standalone(engine, listening, settings.requests_max, terms, tracer)
    except (OSError, TlsError):
        await engine.shutdown()
        raise
    sys.stdout.write(f"serving {settings.names[0]} on {listening.host}:{server.port}\n")
    sys.stdout.flush()
    with log_lines(settings.log_format):
        await stopped.wait()
        await server.stop(grace_s)
    await asyncio.to_thread(tracer.close)


def main() -> int:
    """The command; 2 for bad arguments and 1 where it cannot serve."""
    pairs = [argument.partition("=") for argument in sys.argv[1:]]
    if not all(separator for _, separator, _ in pairs):
        sys.stderr.write(
            "usage: python -m serving.standalone [port=N] [host=H] [certificate=F key=F authority=F"
            " accept=NAME,NAME] [grace_s=S] model=M ...\n"
        )
        return 2
    leave_none()
    try:
        asyncio.run(run({name: value for name, _, value in pairs}))
    except (SettingsError, TlsError, TracingError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except EngineDeadError:
        sys.stderr.write("the engine died while it started; what it said last is above\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
