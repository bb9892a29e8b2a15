"""The service under test, and one turn of a session sent to it."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from benchmarks.serving.record import Record
from benchmarks.workloads.prompts import Prompt
from spillway.client.connections import credentials_of
from spillway.client.errors import retry_after_s_of
from spillway.client.line import check_line
from spillway.client.tls import ClientTls
from wire.metadata import SLO_KEY
from wire.spillway.v1 import trailers as told
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb

CHANNEL_OPTIONS = (
    # Connections are counted: two channels to one address must not share one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
)


@dataclass(frozen=True, slots=True)
class Target:
    """An open service of vllm.Inference, and what every request to it says."""

    channels: Sequence[grpc.aio.Channel]
    model: str = ""
    slo: str = ""
    deadline_s: float = 120.0
    credentials: Metadata = ()  # who asks
    comes_back: bool = False  # a turn that is told to come back later does, until its deadline

    def stream(self, session: str) -> grpc.aio.UnaryStreamMultiCallable:
        """The streaming method, on the connection that this session always uses."""
        channel = self.channels[hash(session) % len(self.channels)]
        # Bytes both ways: what a measurement needs is parsed in `ask`, and nothing else.
        return channel.unary_stream("/vllm.Inference/GenerateStream")


@contextlib.asynccontextmanager
async def connected(
    address: str,
    *,
    model: str = "",
    slo: str = "",
    deadline_s: float = 120.0,
    connections: int = 1,
    ready_timeout_s: float = 10.0,
    comes_back: bool = False,
    tls: ClientTls | None = None,
) -> AsyncIterator[Target]:
    """A target at `address` with its connections up; TimeoutError where nobody listens there.

    The environment's API key says who asks. Raises OptionError where that would be read on the way.
    """
    credentials = credentials_of(None)
    if credentials and tls is None:
        check_line([address], None)
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
                if tls is None
                else tls.open_aio(address, CHANNEL_OPTIONS)
            )
            for _ in range(connections)
        ]
        async with asyncio.timeout(ready_timeout_s):
            for channel in channels:
                await channel.channel_ready()
        yield Target(channels, model, slo, deadline_s, credentials, comes_back)


def request_for(target: Target, session: str, prompt: Prompt, max_new_tokens: int) -> bytes:
    """A greedy request for exactly this many tokens."""
    return pb.GenerateRequest(
        request_id=uuid.uuid4().hex,
        model=target.model,
        text=prompt.text,
        temperature=0.0,
        stopping=pb.StoppingCriteria(max_new_tokens=max_new_tokens, ignore_eos=True),
        session_id=session,
    ).SerializeToString()


async def ask(
    target: Target, record: Record, prompt: Prompt, max_new_tokens: int, *, intended_at: float
) -> str:
    """Send one turn, again where it is told to come back, and return the text that came.

    Its record is filled in. `intended_at` is when the plan wanted it sent, on time.perf_counter's
    clock, which times all: a turn that comes back later has waited since then.
    """
    while True:
        answer, wait_s = await _ask_once(target, record, prompt, max_new_tokens, intended_at)
        waited_s = time.perf_counter() + wait_s - intended_at
        if not (target.comes_back and wait_s) or waited_s > target.deadline_s:
            return answer
        record.status, record.detail = "OK", ""
        record.refused += 1
        await asyncio.sleep(wait_s)


async def _ask_once(
    target: Target, record: Record, prompt: Prompt, max_new_tokens: int, intended_at: float
) -> tuple[str, float]:
    """The text, and when a turn that was refused may come back; 0 where it was not, or is lost."""
    request = request_for(target, record.session, prompt, max_new_tokens)
    record.wanted_tokens = max_new_tokens
    metadata = [*target.credentials, *([(SLO_KEY, target.slo)] if target.slo else [])]
    text: list[str] = []
    wait_s = 0.0
    last_at: float | None = None
    call = target.stream(record.session)(request, timeout=target.deadline_s, metadata=metadata)
    try:
        async for raw in call:
            now = time.perf_counter()
            chunk = pb.GenerateResponse.FromString(raw)
            if chunk.HasField("prompt_info"):
                record.prompt_tokens = chunk.prompt_info.num_prompt_tokens
            if not chunk.outputs.num_tokens and not chunk.outputs.text:
                continue
            if last_at is None:
                record.ttft_s = now - intended_at
            else:
                record.gaps_s.append(now - last_at)
            last_at = now
            record.output_tokens += chunk.outputs.num_tokens
            text.append(chunk.outputs.text)
        await _read_trailers(call, record)
    except grpc.aio.AioRpcError as error:
        record.status = error.code().name
        record.detail = (error.details() or "")[:500]
        trailers = tuple(error.trailing_metadata() or ())
        _place(record, trailers)
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and not text:
            wait_s = retry_after_s_of(trailers) or 0.0
    finally:
        call.cancel()
        record.end_to_end_s = time.perf_counter() - intended_at
    answer = "".join(text)
    if record.status == "OK" and prompt.answer is not None:
        record.right = answer == prompt.answer
        if not record.right:
            record.detail = _first_difference(answer, prompt.answer)
    return answer, wait_s


async def _read_trailers(call: grpc.aio.UnaryStreamCall, record: Record) -> None:
    code = await call.code()
    record.status = code.name
    record.detail = "" if code is grpc.StatusCode.OK else (await call.details())[:500]
    _place(record, await call.trailing_metadata())


def _place(record: Record, trailers: Iterable[Any] | None) -> None:
    for key, value in trailers or ():
        match key:
            case told.SITE_KEY:
                record.site = str(value)
            case told.ENDPOINT_KEY:
                record.endpoint = str(value)
            case told.ATTEMPTS_KEY if str(value).isdecimal():
                record.attempts = int(value)
            case told.RESUMED_KEY if str(value).isdecimal():
                record.resumed = int(value)
            case _:
                pass


def _first_difference(answer: str, expected: str) -> str:
    pairs = enumerate(zip(answer, expected, strict=False))
    shorter = min(len(answer), len(expected))
    index = next((index for index, (got, wanted) in pairs if got != wanted), shorter)
    return (
        f"character {index}: got {answer[index : index + 20]!r}, "
        f"expected {expected[index : index + 20]!r}"
    )
