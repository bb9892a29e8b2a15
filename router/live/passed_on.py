"""The messages of one attempt on their way to the client: a read and a write for each."""

import asyncio
from typing import Any, Final

import grpc

from router.live.attempt import CLOSED, UNFINISHED, Attempt, Failure, differs, failure_of
from router.live.model_said import said_of
from router.live.outlet import Outlet
from router.live.seam import MismatchError
from router.live.timed_core import now_ns
from router.live.transcript import Transcript
from router.live.upstream import END, UpstreamCall

UPSTREAM_ERRORS: Final = (grpc.aio.AioRpcError, grpc.aio.BaseError)
"""What a call to an endpoint may raise: its status, or that this router has closed its channel."""


async def passed_on(
    call: UpstreamCall, attempt: Attempt, transcript: Transcript, outlet: Outlet, context: Any
) -> Failure | None:
    """Pass an attempt's messages on until it ends; why it did not end well."""
    attempt.call = call
    try:
        read, give, pass_on = call.read, outlet.give, transcript.pass_on
        origin = () if transcript.is_begun else (*transcript.origin(), *said_of(attempt.send.model))
        message: Any = await read()
        if message is not END:
            attempt.first_token()
            attempt.trace.read_prompt(message)
        while message is not END and attempt.given_up is None:
            attempt.last = message
            attempt.message_bytes += len(message)
            attempt.read += 1
            given = pass_on(message)
            if given is not None:
                attempt.is_writing = True
                if origin:  # once: an attempt that gave nothing has told none
                    await outlet.begin(context.send_initial_metadata(origin))
                    origin = ()
                await give(given)
                attempt.is_writing = False
                attempt.messages += 1
            # The time in which nothing was there to read; a slow client's is not the endpoint's.
            asked_ns = now_ns()
            message = await read()
            if now_ns() - asked_ns > attempt.slow_gap_ns and message is not END:
                attempt.slow_gaps += 1
    except UPSTREAM_ERRORS as error:
        return attempt.given_up or failure_of(error)
    except MismatchError as error:
        return differs(str(error))
    except asyncio.CancelledError:
        if is_cancelled():
            raise
        return attempt.given_up or CLOSED
    finally:
        attempt.call = None
        call.cancel()
    return attempt.given_up or (None if attempt.is_finished else UNFINISHED)


def is_cancelled() -> bool:
    """Whether the client's call is cancelled, and not only one to an endpoint."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
