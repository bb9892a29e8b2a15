"""A reload of all the processes of a router: each prepares, and once all have, each goes by it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from router.live.reloading import Reloaded, ReloadError
from spillway.fleet import FleetFile
from spillway.reloading import read_again
from spillway.workers.words import Answer, Commit, Prepare

_ANSWER_S: Final = 30.0
"""For a process that has to read its certificates."""


class Process(Protocol):
    """One process of a router."""

    name: str

    @property
    def is_serving(self) -> bool:
        """Whether it is there to be told anything."""
        ...

    async def ask(self, word: Prepare | Commit, within_s: float) -> Answer:
        """Says something, and hears the answer. Raises TimeoutError; OSError where it has ended."""
        ...

    def start_with(self, file: FleetFile) -> None:
        """It goes by this file whenever it is started from now on."""
        ...

    def kill(self) -> None:
        """Ends it; it is started again."""
        ...


@dataclass(slots=True)
class Share:
    """A process, and what of the file is its own."""

    process: Process
    of: Callable[[FleetFile], FleetFile]  # what it is started with
    told: Callable[[FleetFile], FleetFile]  # what it goes by


class AllOrNone:
    """The reloads of one supervisor, one at a time."""

    def __init__(self, file: FleetFile) -> None:
        self._path = None if file.path is None else file.path.absolute()
        self.file = file  # that the processes go by
        self._lock = asyncio.Lock()

    async def reload(self, shares: Sequence[Share], *, dry_run: bool) -> Reloaded:
        """Reads the file, and has all go by it, the last of them last. ReloadError: none does."""
        async with self._lock:
            file, found = await asyncio.to_thread(read_again, self._path, self.file)
            await self._prepare(shares, file)
            if not dry_run:
                self.file = file
                for share in shares:
                    share.process.start_with(share.of(file))
                # Together: one that hangs keeps no other from the file, nor who asks waiting.
                await asyncio.gather(*(self._commit(share) for share in shares[:-1]))
                await self._commit(shares[-1])
            return Reloaded(found, file.digest, applied=not dry_run)

    async def _prepare(self, shares: Sequence[Share], file: FleetFile) -> None:
        away = [share.process.name for share in shares if not share.process.is_serving]
        if away:
            raise ReloadError(f"{', '.join(away)} is being started: try again")
        answers = await asyncio.gather(
            *(share.process.ask(Prepare(0, share.told(file)), _ANSWER_S) for share in shares),
            return_exceptions=True,
        )
        for share, answer in zip(shares, answers, strict=True):
            if not isinstance(answer, Answer):
                raise ReloadError(f"{share.process.name} does not answer: try again")
            if answer.problem:
                raise ReloadError(answer.problem)

    async def _commit(self, share: Share) -> None:
        """What cannot go by the file is started again, with it."""
        try:
            answer = await share.process.ask(Commit(0), _ANSWER_S)
        except (OSError, TimeoutError):
            share.process.kill()
        else:
            if answer.problem:
                share.process.kill()
