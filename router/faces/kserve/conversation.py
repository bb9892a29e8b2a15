"""ModelStreamInfer: a client's requests as they come, and their answers as they come."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc.aio

from router.faces.call import Inference, answer
from router.faces.kserve.answer import Answer
from router.faces.kserve.errors import renamed
from router.faces.kserve.request import read_asked
from router.live.roster import Roster
from router.policy.fleet import Tenant
from wire.kserve import inference_pb2 as kserve
from wire.status import CallError, Metadata, failure
from wire.vllm import inference_pb2 as pb

OPEN_MAX: Final = 128
"""Requests of one stream that are answered at a time; the next one is read when one has ended."""

_FINAL: Final = "triton_final_response"

_log = logging.getLogger(__name__)


class Conversation:
    """One stream. Each request has one message at least in answer, the last one marked as such."""

    def __init__(
        self,
        inference: Inference,
        roster: Roster,
        tenant: Tenant | None,
        metadata: Metadata,
        deadline_s: float,
    ) -> None:
        self._inference = inference
        self._roster = roster
        self._tenant = tenant
        self._metadata = metadata
        self._deadline_s = deadline_s
        self._room = asyncio.Semaphore(OPEN_MAX)
        self._writing = asyncio.Lock()  # gRPC takes one message of a stream at a time

    async def run(self, requests: AsyncIterator[kserve.ModelInferRequest], context: Any) -> None:
        """Until there are no more requests, and all are answered."""
        async with asyncio.TaskGroup() as answers:
            async for request in requests:
                await self._room.acquire()
                task = answers.create_task(self._answered(request, context), name="infer")
                task.add_done_callback(lambda _: self._room.release())

    async def _answered(self, request: kserve.ModelInferRequest, context: Any) -> None:
        """An answer to its end; a failure is a message with the request's id, and ends only it."""
        try:
            await self._answer(request, context)
        except CallError as error:
            await self._failed(request, error, context)
        except Exception:  # noqa: BLE001 - a defect, which must not end the other requests
            _log.exception("a request of a stream failed")
            defect = failure(grpc.StatusCode.INTERNAL, "the router failed at it")
            await self._failed(request, defect, context)

    async def _failed(
        self, request: kserve.ModelInferRequest, error: CallError, context: Any
    ) -> None:
        told = kserve.ModelStreamInferResponse(error_message=str(renamed(error)))
        told.infer_response.id = request.id
        told.infer_response.model_name = request.model_name
        told.infer_response.parameters[_FINAL].bool_param = True
        with contextlib.suppress(grpc.aio.BaseError):  # nobody is there to read it
            await self._write(told, context)

    async def _answer(self, request: kserve.ModelInferRequest, context: Any) -> None:
        asked = read_asked(request, self._roster, self._tenant, self._metadata, self._deadline_s)
        said = Answer(request, asked)

        async def take(message: pb.GenerateResponse) -> None:
            if said.add(message) and (asked.streams or said.is_complete):
                told = kserve.ModelStreamInferResponse(infer_response=said.response())
                told.infer_response.parameters[_FINAL].bool_param = said.is_complete
                await self._write(told, context)

        asks = asked.generation, self._metadata, asked.deadline_s
        await answer(self._inference, *asks, take, said)

    async def _write(self, message: kserve.ModelStreamInferResponse, context: Any) -> None:
        async with self._writing:
            await context.write(message)
