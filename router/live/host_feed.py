"""A worker's side of `spillway.v1.Host`: what the receiver of this host heard, told to its router.

While the receiver is away nothing comes: the core knows how old its reports are, and streams go on.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Final, Protocol

import grpc

from router.live import background
from router.live.backoff import Backoff
from router.live.follower import Follower
from router.live.host_loans import loans_message, loans_of
from router.live.probe import Answer
from router.live.reach import Reach
from router.live.roster import Roster
from router.observe.event import (
    DrainChanged,
    Event,
    LoansChanged,
    QuarantineReleased,
    RolloutChanged,
)
from wire.spillway.v1 import host_pb2 as pb

_log = logging.getLogger(__name__)

_SAYINGS_MAX: Final = 10_000
"""Drains, releases, aborts and answers that wait to be said."""

_ANSWERING_MAX: Final = 64
"""Answers under way: the receiver waits for each, and not for long."""


Word = DrainChanged | LoansChanged | QuarantineReleased | RolloutChanged
"""What an operator tells one process for all of this router."""


class Listener(Protocol):
    """The router of this worker."""

    def hear_happening(self, happening: Word) -> None:
        """An operator told another worker."""
        ...

    async def hear_abort(self, request_ids: Iterable[str]) -> None:
        """A client told another worker; the requests may be here."""
        ...

    def hear_demand(self, told: pb.Demand) -> None:
        """What another worker was asked."""
        ...

    def hear_wants(self, wants: pb.Wants) -> None:
        """What the first worker wants of the sites that scale."""
        ...

    def draining_sites(self) -> Iterable[str]:
        """The sites that an operator drains."""
        ...

    def all_loans(self) -> Iterable[LoansChanged]:
        """What operators lend."""
        ...

    def returned(self) -> Iterable[RolloutChanged]:
        """The roll-outs that are taken back, and why."""
        ...

    async def answer(self, what: str, body: bytes) -> bytes:
        """What the receiver asks of this worker: its metrics, or something for the page."""
        ...


class HostFeed:
    """Joins the receiver at `address`, and again whenever it is lost. It is a Sink, too."""

    def __init__(self, address: str, worker: int, roster: Roster, reach: Reach) -> None:
        """Give it its `listener` before it runs."""
        self._address = address
        self._worker = worker
        self._roster = roster
        self._reach = reach
        self.listener: Listener
        self._sayings: asyncio.Queue[pb.Said] = asyncio.Queue(_SAYINGS_MAX)
        self._is_hearing = False
        self._answering: set[asyncio.Task[None]] = set()
        self.is_joined = False  # whether the receiver is heard

    @property
    def worker(self) -> int:
        """Which of the workers this is."""
        return self._worker

    @property
    def leads(self) -> bool:
        """Whether this worker does what one of them has to do for all."""
        return self._worker == 0

    def on_event(self, event: Event) -> None:
        """What an operator told this worker holds for all."""
        if self._is_hearing:
            return
        if isinstance(event.happening, DrainChanged):
            drain = pb.SiteDrain(site=event.happening.site, draining=event.happening.draining)
            self._put(pb.Said(drain=drain))
        elif isinstance(event.happening, LoansChanged):
            self._put(pb.Said(loans=loans_message(event.happening)))
        elif isinstance(event.happening, RolloutChanged):
            self._put(pb.Said(rollout=_rollout_word(event.happening)))
        elif isinstance(event.happening, QuarantineReleased):
            self._put(pb.Said(released=event.happening.fingerprint))

    def say(self, said: pb.Said) -> None:
        """What is said again before long: while nobody hears it, it is not kept."""
        if self.is_joined:
            self._put(said)

    def abort(self, request_ids: Iterable[str]) -> None:
        """Requests that are not here may run at another worker."""
        said = pb.Said(aborted=request_ids)
        if said.aborted:
            self._put(said)

    async def run(self) -> None:
        """Listens until cancelled."""
        try:
            await self._listen()
        finally:
            for task in self._answering:
                task.cancel()

    async def _listen(self) -> None:
        backoff = Backoff(0.05, 1.0)
        options = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))
        while True:
            async with grpc.aio.insecure_channel(self._address, options=options) as channel:
                join = channel.stream_stream(
                    "/spillway.v1.Host/Join",
                    request_serializer=pb.Said.SerializeToString,
                    response_deserializer=pb.Heard.FromString,
                )
                try:
                    async for heard in join(self._said()):
                        backoff.reset()
                        self.is_joined = True
                        await self._hear(heard)
                except grpc.aio.AioRpcError as error:
                    _log.debug("the receiver is away: %s", error.details())
                finally:
                    self.is_joined = False
            await asyncio.sleep(backoff.wait_s())

    async def _said(self) -> AsyncIterator[pb.Said]:
        yield pb.Said(
            worker=self._worker,
            draining=self.listener.draining_sites(),
            lending=map(loans_message, self.listener.all_loans()),
            returned=map(_rollout_word, self.listener.returned()),
        )
        while True:
            yield await self._sayings.get()

    def _put(self, said: pb.Said) -> None:
        try:
            self._sayings.put_nowait(said)
        except asyncio.QueueFull:
            _log.warning("the receiver has been away for too long: a word to it is lost")

    async def _hear(self, heard: pb.Heard) -> None:
        self._hear_endpoints(heard)
        self._hear_operators(heard)
        for demand in heard.demands:
            self.listener.hear_demand(demand)
        for wants in heard.wants:
            self.listener.hear_wants(wants)
        if heard.aborted:
            await self.listener.hear_abort(heard.aborted)
        for asked in heard.asked:
            if len(self._answering) < _ANSWERING_MAX:
                task = background.begin(self._answer(asked), "answer the receiver")
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def _answer(self, asked: pb.Asked) -> None:
        body = await self.listener.answer(asked.what, asked.body)
        self._put(pb.Said(answered=pb.Answered(id=asked.id, body=body)))

    def _hear_endpoints(self, heard: pb.Heard) -> None:
        for listing in heard.listings:
            if listing.site in self._reach:  # a reload may have taken it out
                self._roster.set_site(listing.site, listing.addresses)
        for answer in heard.answers:
            rtt_ns = answer.rtt_ns if answer.HasField("rtt_ns") else None
            follower = self._follower(answer.endpoint)
            if follower is not None:
                follower.hear_answer(Answer(rtt_ns, serving=answer.serving))
        for report in heard.reports:
            follower = self._follower(report.endpoint)
            if follower is not None:
                follower.load.share(report.report)

    def _hear_operators(self, heard: pb.Heard) -> None:
        self._is_hearing = True
        try:
            for drain in heard.drains:
                self.listener.hear_happening(DrainChanged(drain.site, drain.draining))
            for loans in heard.loans:
                self.listener.hear_happening(loans_of(loans))
            for word in heard.rollouts:
                self.listener.hear_happening(RolloutChanged(word.name, word.why, word.new))
            for fingerprint in heard.released:
                self.listener.hear_happening(QuarantineReleased(fingerprint))
        finally:
            self._is_hearing = False

    def _follower(self, name: str) -> Follower | None:
        endpoint = self._roster.get(name)
        return None if endpoint is None else endpoint.follower


def _rollout_word(change: RolloutChanged) -> pb.RolloutWord:
    return pb.RolloutWord(name=change.name, why=change.why, new=change.new)
