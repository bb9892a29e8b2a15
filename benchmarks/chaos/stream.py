"""One stream as its client sees it: every token with its time, and how it ended."""

import asyncio
import math
import time
import uuid
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from benchmarks.chaos.difference import Difference, difference
from spillway.client import Client, SpillwayError
from spillway.client.errors import retry_after_s_of
from wire.spillway.v1.trailers import ATTEMPTS_KEY, ENDPOINT_KEY, RESUMED_KEY
from wire.vllm import inference_pb2 as pb

METHOD = "/vllm.Inference/GenerateStream"
CHANNEL_OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),  # channels to one address must not share a connection
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt and the tokens that must follow it."""

    prompt: str
    wanted: tuple[int, ...]
    text: str
    priority: int = 0


@dataclass(slots=True)
class Seen:
    """What came of one question. Times are time.monotonic's, in seconds."""

    question: Question
    begun_s: float
    ended_s: float = 0.0
    token_ids: list[int] = field(default_factory=list)
    text: str = ""
    arrived_s: "array[float]" = field(default_factory=lambda: array("d"))  # of each message
    counted: int | None = None  # output tokens by the last message's own account
    status: str = "OK"
    detail: str = ""
    endpoint: str = ""
    attempts: int = 0
    resumed: int = 0
    retry_after_s: float | None = None  # what a refusal says

    @property
    def ttft_s(self) -> float:
        """Time to the first token; infinite where none came."""
        return self.arrived_s[0] - self.begun_s if self.arrived_s else math.inf

    @property
    def difference(self) -> Difference:
        """What is wrong with its tokens; a text or a count that does not fit them is wrong, too."""
        complete = self.status == "OK"
        found = difference(self.token_ids, self.question.wanted, complete=complete)
        if not found.is_none:
            return found
        fits = self.text == self.question.text and self.counted == len(self.question.wanted)
        if complete and not fits:
            return Difference(wrong=1)
        return found

    def pause_s(self, since_s: float) -> float:
        """The longest gap between two tokens that ended after `since_s`; 0 where there is none."""
        pairs = zip(self.arrived_s, self.arrived_s[1:], strict=False)
        return max((after - before for before, after in pairs if after > since_s), default=0.0)

    def hear(self, raw: bytes) -> None:
        """One message of the answer."""
        outputs = pb.GenerateResponse.FromString(raw).outputs
        self.take(outputs.token_ids, outputs.text)
        if outputs.HasField("finish_info"):
            self.counted = outputs.finish_info.num_output_tokens

    def take(self, token_ids: Iterable[int], text: str) -> None:
        """Tokens came."""
        before = len(self.token_ids)
        self.token_ids += token_ids
        self.text += text
        if text or len(self.token_ids) > before:
            self.arrived_s.append(time.monotonic())

    def end(self, code: grpc.StatusCode, detail: str, trailers: Iterable[Any]) -> None:
        """The status and the trailers came."""
        self.status, self.detail = code.name, detail[:300]
        trailers = tuple(trailers)
        self.retry_after_s = retry_after_s_of(trailers)
        said = {key: str(value) for key, value in trailers}
        self.endpoint = said.get(ENDPOINT_KEY, "")
        self.attempts = _number(said.get(ATTEMPTS_KEY, ""))
        self.resumed = _number(said.get(RESUMED_KEY, ""))


def request_for(question: Question) -> bytes:
    """A greedy request for exactly the tokens that are wanted, with their ids."""
    return pb.GenerateRequest(
        request_id=uuid.uuid4().hex,
        text=question.prompt,
        temperature=0.0,
        priority=question.priority,
        stopping=pb.StoppingCriteria(max_new_tokens=len(question.wanted), ignore_eos=True),
        response=pb.ResponseOptions(output_text=True, output_token_ids=True),
        session_id=uuid.uuid4().hex,
    ).SerializeToString()


async def listen_with(client: Client, question: Question, deadline_s: float) -> Seen:
    """The same through the client library, which goes on when a router dies."""
    seen = Seen(question, time.monotonic())
    stream = client.stream(
        question.prompt,
        temperature=0.0,
        max_new_tokens=len(question.wanted),
        ignore_eos=True,
        output_token_ids=True,
        session=uuid.uuid4().hex,
        deadline_s=deadline_s,
    )
    try:
        async with stream:
            async for chunk in stream:
                seen.take(chunk.token_ids, chunk.text)
                if chunk.finish is not None:
                    seen.counted = chunk.finish.num_output_tokens
        ending = stream.ending
    except SpillwayError as error:
        seen.status, seen.detail, ending = error.code.name, str(error)[:300], error.ending
    seen.ended_s = time.monotonic()
    if ending is not None:
        seen.endpoint, seen.attempts = ending.site, ending.attempts
        seen.resumed = ending.resumed
    return seen


async def listen(channel: grpc.aio.Channel, question: Question, deadline_s: float) -> Seen:
    """Ask, and hear the answer out."""
    seen = Seen(question, time.monotonic())
    call = channel.unary_stream(METHOD)(request_for(question), timeout=deadline_s)
    try:
        async for raw in call:
            seen.hear(raw)
        seen.end(await call.code(), await call.details() or "", await call.trailing_metadata())
    except grpc.aio.AioRpcError as error:
        seen.end(error.code(), error.details() or "", error.trailing_metadata() or ())
    except asyncio.CancelledError:
        seen.status = "CANCELLED"
        raise
    finally:
        call.cancel()
        seen.ended_s = time.monotonic()
    return seen


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
