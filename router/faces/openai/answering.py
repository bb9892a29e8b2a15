"""Has a request answered by the router's own vllm.Inference, one call for each of its prompts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from router.faces.call import Inference, answer
from router.faces.openai.answered_by import AnsweredBy
from router.faces.openai.errors import of_call
from router.faces.openai.event_response import EventResponse
from router.faces.openai.event_stream import event
from wire.metadata import OWN_PREFIX
from wire.spillway.v1.trailers import MODEL_KEY
from wire.status import CallError, Metadata
from wire.vllm import inference_pb2 as pb

_REQUEST_ID: Final = "x-request-id"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, ready to be answered."""

    answer_id: str
    generations: Sequence[pb.GenerateRequest]  # one for each prompt
    metadata: Metadata
    prompt: str  # the parameter that has the prompt, for errors
    by: AnsweredBy

    @property
    def headers(self) -> dict[str, str]:
        """Those of its answer that are known before it."""
        return {_REQUEST_ID: self.answer_id, **self.by.headers}


class Answering:
    """Streams answers, or gathers them."""

    def __init__(self, inference: Inference, deadline_s: float) -> None:
        self._inference = inference
        self._deadline_s = deadline_s

    async def stream(
        self,
        request: web.Request,
        ask: Ask,
        chunks: Callable[[int, pb.GenerateResponse], bytes],
        last: Callable[[], bytes],
    ) -> web.StreamResponse:
        """The answer as events: those for each message of each prompt's, and those at its end.

        Raises ApiError for what fails before anything was sent; what fails later is an event.
        """
        events = EventResponse(request, lambda: ask.headers)

        async def take(prompt: int, message: pb.GenerateResponse) -> None:
            written = chunks(prompt, message)
            if written:
                await events.write(written)

        try:
            await self._run(ask, take)
        except CallError as error:
            told = of_call(error, ask.prompt)
            if not events.begun:
                raise told from error
            await events.write(event({"error": told.error}))
        else:
            await events.write(last())
        return await events.end()

    async def gather(
        self, ask: Ask, add: Callable[[int, pb.GenerateResponse], None]
    ) -> dict[str, str]:
        """Hands over each message of each prompt's answer; the headers of the whole.

        Raises ApiError.
        """

        async def take(prompt: int, message: pb.GenerateResponse) -> None:
            add(prompt, message)

        try:
            trailers = await self._run(ask, take)
        except CallError as error:
            raise of_call(error, ask.prompt) from error
        shown = {
            key: value
            for key, value in trailers
            if key.startswith(OWN_PREFIX) and isinstance(value, str)
        }
        ask.by.model = ask.by.model or shown.get(MODEL_KEY, "")  # a router below may say it
        return {**shown, **ask.headers}

    async def _run(
        self, ask: Ask, take: Callable[[int, pb.GenerateResponse], Awaitable[None]]
    ) -> Metadata:
        """All calls to their ends; the trailers of the first. Raises CallError for one that fails.

        ConnectionError where the client has gone.
        """
        ids = [ask.answer_id]
        if len(ask.generations) > 1:
            ids = [f"{ask.answer_id}-{place}" for place in range(len(ask.generations))]
        calls = []
        for place, (request_id, generation) in enumerate(zip(ids, ask.generations, strict=True)):
            generation.request_id = request_id
            calls.append(
                answer(
                    self._inference,
                    generation,
                    ask.metadata,
                    self._deadline_s,
                    partial(take, place),
                    ask.by,
                )
            )
        if len(calls) == 1:
            return await calls[0]
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(call) for call in calls]
        except* (CallError, ConnectionError) as group:
            raise _first(group) from group
        return running[0].result()


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
