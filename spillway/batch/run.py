"""A batch from its first request that has no answer to its last."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from spillway.batch.errors import UnreachableError
from spillway.batch.line import BatchLine
from spillway.batch.pace import Pace
from spillway.batch.results import Results
from spillway.batch.sender import Answered, Later, Sender

ATTEMPTS_MAX: Final = 3
"""Of a request that may itself be what fails."""

_UNREACHED_WAIT_MAX_S: Final = 15.0
_ROUNDS_MAX: Final = 16.0  # after which the wait is longer than that in any case


@dataclass(frozen=True, slots=True)
class Terms:
    """What a batch takes upon itself."""

    parallel_max: int  # requests at a time
    deadline_s: float  # for an answer
    patience_s: float  # it gives up when nothing has been answered for so long, nor is under way


class Batch:
    """Sends what has no answer yet, at the pace that the service has room for."""

    def __init__(
        self,
        sender: Sender,
        results: Results,
        terms: Terms,
        on_result: Callable[[], None] = lambda: None,
    ) -> None:
        self._sender = sender
        self._results = results
        self._pace = Pace(terms.parallel_max)
        self._patience_s = terms.patience_s
        self._on_result = on_result
        self._open: set[asyncio.Task[None]] = set()
        self._sending = 0  # of those; the others wait for their turn
        self._left = asyncio.Event()  # one has come back
        self._heard_s = time.monotonic()  # when the last answer came
        self._silences = 0  # in a row, without an answer or a refusal
        self._why = ""  # there is none

    async def run(self, requests: Iterator[BatchLine]) -> None:
        """Until each has its answer. Raises BatchError; cancelled, what is open is not answered."""
        try:
            for request in requests:
                while len(self._open) >= self._pace.limit:
                    await self._until_one_ends()
                self._open.add(asyncio.create_task(self._see_to(request)))
                await asyncio.sleep(0)  # so that what it writes is written in the meantime
            while self._open:
                await self._until_one_ends()
        finally:
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    async def _until_one_ends(self) -> None:
        done, self._open = await asyncio.wait(self._open, return_when=asyncio.FIRST_COMPLETED)
        failed = [error for task in done if (error := task.exception()) is not None]
        if failed:  # with several the first stands for all: none is left for asyncio to complain of
            raise failed[0]

    async def _see_to(self, request: BatchLine) -> None:
        attempts = 0
        while True:
            await self._until_welcome()
            sent_s, full = time.monotonic(), self._sending >= self._pace.limit
            try:
                said = await self._sender.send(request)
            finally:
                self._sending -= 1
                self._left.set()
            if isinstance(said, Later):
                self._put_off(said, sent_s)
                continue
            self._heard_s, self._silences = time.monotonic(), 0
            self._pace.on_answer(full=full)
            attempts += 1
            if said.is_final or attempts >= ATTEMPTS_MAX:
                self._take(request, said)
                return

    def _take(self, request: BatchLine, answered: Answered) -> None:
        self._results.add(request.custom_id, answered.result)
        self._on_result()

    def _put_off(self, later: Later, sent_s: float) -> None:
        wait_s = later.retry_after_s
        if not later.is_refusal:
            self._silences += 1
            rounds = min(_ROUNDS_MAX, self._silences / self._pace.limit)
            wait_s = min(_UNREACHED_WAIT_MAX_S, wait_s * 1.5**rounds)
        self._why = later.why
        self._pace.on_refusal(sent_s, time.monotonic(), wait_s)

    async def _until_welcome(self) -> None:
        """Until one more may be sent, which counts as sent at once.

        After a pause they go one by one, as others come back: all at once would be refused again.
        """
        while True:
            wait_s = self._pace.resume_s - time.monotonic()
            if wait_s > 0:
                self._check_patience()
                await asyncio.sleep(wait_s)
            elif self._sending >= self._pace.limit:
                self._left.clear()
                await self._left.wait()
            else:
                self._sending += 1
                return

    def _check_patience(self) -> None:
        """As long as an answer is under way, it is not known that none will come."""
        if not self._sending and time.monotonic() - self._heard_s > self._patience_s:
            raise UnreachableError(
                f"nothing was answered for {self._patience_s:g} s; the last word: {self._why}"
            )
