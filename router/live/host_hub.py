"""The receiver's side of `spillway.v1.Host`: what it heard goes to every worker, made once.

A worker that joins is told first what is so; then it gets what happens, put together where it is
slow. One that is too slow is cut off, and joins anew.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

from router.live import background
from wire.spillway.v1.host_pb2 import Asked, Heard, Said

BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait for one worker: the cached prefixes of hundreds of endpoints."""

METRICS: Final = "metrics"
"""What a scrape asks: OpenMetrics' text format, which has exemplars."""

_SCRAPE_S: Final = 2.0


class _Worker:
    """What waits for one worker."""

    def __init__(self) -> None:
        self.waiting: list[bytes] = []
        self.bytes = 0
        self.lost = False  # it is too slow, and is told nothing more
        self.wakes = asyncio.Event()
        self.number = 0

    def give(self, raw: bytes) -> None:
        if self.lost:
            return
        self.waiting.append(raw)
        self.bytes += len(raw)
        if self.bytes > BYTES_MAX:
            self.lost = True
            self.waiting.clear()
        self.wakes.set()


class Hub:
    """Passes on what is published and what any worker says."""

    def __init__(self, state: Callable[[], Heard], on_said: Callable[[Said], None]) -> None:
        """`state` is what one who joins is told; `on_said` hears what workers say to all."""
        self._state = state
        self._on_said = on_said
        self._workers: set[_Worker] = set()
        self._asked = 0
        self._answers: dict[int, list[bytes]] = {}  # by the number of the question
        self._answered = asyncio.Event()

    def handlers(self) -> grpc.GenericRpcHandler:
        """The service for a server; bytes go out as they were made."""
        join = grpc.stream_stream_rpc_method_handler(
            self._join, request_deserializer=Said.FromString
        )
        return grpc.method_handlers_generic_handler("spillway.v1.Host", {"Join": join})

    def publish(self, heard: Heard, but: _Worker | None = None) -> None:
        """Tells all workers."""
        raw = heard.SerializeToString()
        for worker in self._workers:
            if worker is not but:
                worker.give(raw)

    async def metrics(self) -> list[bytes]:
        """The metrics of every worker that answers in time."""
        return await self.ask(METRICS, b"", within_s=_SCRAPE_S, one=False)

    async def ask(self, what: str, body: bytes, *, within_s: float, one: bool) -> list[bytes]:
        """What workers answer in time: every one, or the first."""
        workers = sorted(self._workers, key=lambda worker: worker.number)[: 1 if one else None]
        self._asked += 1
        number, answers = self._asked, self._answers.setdefault(self._asked, [])
        raw = Heard(asked=[Asked(id=number, what=what, body=body)]).SerializeToString()
        for worker in workers:
            worker.give(raw)
        try:
            async with asyncio.timeout(within_s):
                while len(answers) < len(workers):
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            pass
        finally:
            del self._answers[number]
        return answers

    async def _join(self, said: AsyncIterator[Said], _context: Any) -> AsyncIterator[bytes]:
        worker = _Worker()
        worker.give(self._state().SerializeToString())
        self._workers.add(worker)
        listening = background.begin(self._listen(said, worker), "listen to a worker")
        try:
            while True:
                await worker.wakes.wait()
                worker.wakes.clear()
                if worker.lost:
                    return
                waiting, worker.waiting, worker.bytes = worker.waiting, [], 0
                yield b"".join(waiting)
        finally:
            self._workers.discard(worker)
            await background.end(listening)

    async def _listen(self, said: AsyncIterator[Said], worker: _Worker) -> None:
        async for one in said:
            if one.HasField("answered"):
                if one.answered.id in self._answers:
                    self._answers[one.answered.id].append(one.answered.body)
                    self._answered.set()
                continue
            worker.number = one.worker or worker.number
            self._on_said(one)
            passed_on = Heard(aborted=one.aborted)
            if one.HasField("drain"):
                passed_on.drains.append(one.drain)
            if one.released:
                passed_on.released.append(one.released)
            if one.HasField("rollout"):
                passed_on.rollouts.append(one.rollout)
            if one.HasField("loans"):
                passed_on.loans.append(one.loans)
            if one.HasField("demand"):
                passed_on.demands.append(one.demand)
            if one.HasField("wants"):
                passed_on.wants.append(one.wants)
            self.publish(passed_on, but=worker)
