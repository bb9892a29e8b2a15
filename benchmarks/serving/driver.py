"""Drives the sessions of a plan against a target, in open or in closed loop.

Open loop: sessions begin when the plan says so, however late the answers are; this is what users do
and what shows a queue. Closed loop: a fixed number of sessions is kept going; this shows the most a
service can do, and hides what its users would wait.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from benchmarks.serving.record import Record
from benchmarks.serving.target import Target, ask
from benchmarks.workloads.plan import Session
from benchmarks.workloads.prompts import Prompter

SESSIONS_MAX = 10_000
"""Open sessions of one driver. Beyond it a session is recorded as not sent, never lost unseen."""

NOT_SENT = "NOT_SENT"


@dataclass(slots=True)
class Driver:
    """One run. `on_record` sees every turn as it ends; `begun_at` is offset 0 on perf_counter."""

    target: Target
    prompter: Prompter
    on_record: Callable[[Record], None]
    sessions_max: int = SESSIONS_MAX
    begun_at: float = field(default_factory=time.perf_counter)

    async def open_loop(self, plan: Iterable[Session]) -> None:
        """Run sessions at their own offsets; returns when the last one has ended."""
        self.begun_at = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            running: set[asyncio.Task[None]] = set()
            for session in plan:
                await asyncio.sleep(max(0.0, self.begun_at + session.at_s - time.perf_counter()))
                if len(running) >= self.sessions_max:
                    self.on_record(_not_sent(session, self.sessions_max))
                    continue
                task = group.create_task(self._session(session, self.begun_at + session.at_s))
                running.add(task)
                task.add_done_callback(running.discard)

    async def closed_loop(self, plan: Iterable[Session], concurrency: int) -> None:
        """Keep `concurrency` sessions going until the plan ends; its offsets do not matter."""
        self.begun_at = time.perf_counter()
        sessions = iter(plan)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._worker(sessions))

    async def _worker(self, sessions: Iterator[Session]) -> None:
        for session in sessions:
            await self._session(session, time.perf_counter())

    async def _session(self, session: Session, intended_at: float) -> None:
        """All turns of one session; it ends at its first failed turn, as a user would."""
        history = ""
        for index, turn in enumerate(session.turns):
            if index:
                intended_at = time.perf_counter() + turn.think_s
                await asyncio.sleep(turn.think_s)
            record = Record(
                session=session.id,
                turn=index,
                phase=session.phase,
                intended_s=intended_at - self.begun_at,
                lag_s=max(0.0, time.perf_counter() - intended_at),
            )
            prompt = self.prompter.prompt(session, index, history)
            answer = await ask(
                self.target, record, prompt, turn.output_tokens, intended_at=intended_at
            )
            self.on_record(record)
            if record.status != "OK":
                return
            history = prompt.text + answer


def _not_sent(session: Session, sessions_max: int) -> Record:
    return Record(
        session=session.id,
        turn=0,
        phase=session.phase,
        intended_s=session.at_s,
        status=NOT_SENT,
        detail=f"the driver had {sessions_max} sessions open",
    )
