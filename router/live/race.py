"""Two attempts at one first token: the second begins when the first is overdue, the loser is ended.

What the core decides of it is in `router.policy.hedge`; here it is done.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from router.live.attempt import Attempt, Failure, failure_of
from router.live.endpoint import LiveEndpoint
from router.live.upstream import END, UpstreamCall
from router.policy.outcome import End


class Opened:
    """A call to an endpoint whose first message may be read before somebody asks for it."""

    def __init__(self, call: UpstreamCall) -> None:
        self._call = call
        self._first: asyncio.Task[Any] | None = None
        self.cancel = call.cancel
        self.trailing_metadata = call.trailing_metadata

    def first(self) -> asyncio.Task[Any]:
        """The reading of the first message."""
        if self._first is None:
            self._first = asyncio.create_task(self._call.read(), name="first message")
        return self._first

    async def read(self) -> Any:
        """The next message."""
        first, self._first = self._first, None
        return await (self._call.read() if first is None else first)


@dataclass(frozen=True, slots=True, eq=False)
class Runner:
    """One attempt of a race."""

    attempt: Attempt
    call: Opened
    endpoint: LiveEndpoint


async def race(first: Runner, delay_s: float, second: Callable[[], Runner | None]) -> Runner:
    """Who goes on with the answer: `second` joins if `first` has said nothing within `delay_s`.

    The winner's first message waits in its call. The core has heard of a loser's end, and of the
    winner's first token before that. If nobody has one, whoever was the last to fail goes on.
    Cancelled, both calls end, and the core is yet to hear of the end of `first`.
    """
    runners, joined = [first], None
    winner: Runner | None = None
    try:
        await asyncio.wait({first.call.first()}, timeout=delay_s)
        if not first.call.first().done() and (joined := second()) is not None:
            runners.append(joined)
        while len(runners) > 1:
            tasks = {one.call.first() for one in runners}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            done = next(one for one in runners if one.call.first().done())
            if _has_begun(done.call.first()):
                done.attempt.first_token()
                runners = [done]
            else:
                done.attempt.end(_failure(done).end)
                runners.remove(done)
        winner = runners[0]
        return winner
    finally:
        for one in (first, joined):
            if one is None or one is winner:
                continue
            if winner is not None or one is joined:
                one.attempt.end(End.CANCELLED)
            one.call.first().cancel()
            one.call.cancel()


def _has_begun(task: asyncio.Task[Any]) -> bool:
    failed = task.cancelled() or task.exception() is not None
    return not failed and task.result() is not END


def _failure(runner: Runner) -> Failure:
    task = runner.call.first()
    error = None if task.cancelled() else task.exception()
    if isinstance(error, grpc.aio.AioRpcError):
        return failure_of(error)
    given_up = runner.attempt.given_up
    return given_up or Failure(End.FAILED, grpc.StatusCode.UNAVAILABLE, "the answer has no message")
