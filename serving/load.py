"""Load reports: what the engine knows of itself, told to whoever routes to it.

The engine tells at each of its steps; a watcher is sent a report when something that matters to
routing has changed, not more often than INTERVAL_MIN_S, and at least as often as it asked for. A
watcher that reads slowly gets the latest state when it reads, never a queue of old ones.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress

from serving.engine import AdapterUse, Engine, EngineDeadError, EngineLoad, PrefixBlocks
from serving.identity import Identity
from serving.lease_ledger import KEPT_MAX, Key, LeaseLedger, LeaseUse
from serving.prefix_backlog import PrefixBacklog, PrefixSet
from wire.spillway.v1 import load_pb2 as pb

INTERVAL_MIN_S = 0.02
"""A router decides on predictions between reports; 50 a second are plenty for it."""

KV_USAGE_STEP = 0.02
"""A change of the cache's use that is worth a report by itself."""

LOADED_MAX = 256
"""Adapters that a report calls loaded: engines hold a few dozen."""

ACCOUNTS_MAX = 1_024
"""In one report: some 80 KB."""

LAST_ENDS_S = 1.0
"""How long the end of reports waits, after an engine's death, for streams there to end: those whose
clients do not read may take for ever, and the others some milliseconds."""

SILENCE_DEFAULT_MS = 1_000
SILENCE_MIN_MS = 50
SILENCE_MAX_MS = 60_000


class LoadBoard:
    """The load of one replica, and those who watch it."""

    def __init__(
        self,
        engine: Engine,
        instance_id: str,
        ledger: LeaseLedger,
        *,
        takes_leases: bool,
        requires_leases: bool = False,
    ) -> None:
        self._engine = engine
        self._instance_id = instance_id
        self._ledger = ledger
        self._takes_leases = takes_leases
        self._requires_leases = requires_leases
        self._sequence = 0
        self._draining = False
        self._watchers: set[Watcher] = set()
        self._prefixes: PrefixSet | None = None
        engine.on_load(self._look)
        if engine.on_prefix_change(self._on_prefix_change):
            self._prefixes = PrefixSet()

    @property
    def instance_id(self) -> str:
        """Changes when the engine restarts."""
        return self._instance_id

    @property
    def draining(self) -> bool:
        """Whether the replica is on its way out."""
        return self._draining

    def drain(self) -> None:
        """Says from now on that the replica is on its way out: running requests finish."""
        self._draining = True
        for watcher in self._watchers:
            watcher.changed.set()

    async def watch(self, request: pb.WatchLoadRequest) -> AsyncGenerator[pb.LoadReport, None]:
        """Reports until the consumer leaves, or the replica is drained and idle.

        Raises EngineDeadError when the engine dies, after what is to be told of leases.
        """
        with self.watcher(request) as watcher:
            while True:
                yield self.tell(watcher)
                self._check(watcher)
                if self._draining and not (_unfinished(watcher.seen) or watcher.uses):
                    return
                await watcher.until_due()

    @contextmanager
    def watcher(self, request: pb.WatchLoadRequest) -> Iterator["Watcher"]:
        """One who is told when it asks; `until_due` says when that is."""
        silence_s = clamp_silence_ms(request.max_silence_ms) / 1_000
        watcher = Watcher(self._prefixes, silence_s, hears_of_uses=request.accounts)
        self._watchers.add(watcher)
        if request.accounts:
            for use in self._ledger.listen(watcher.on_use):
                watcher.on_use(use)
        try:
            yield watcher
        finally:
            self._ledger.leave(watcher.on_use)
            self._watchers.discard(watcher)

    def tell(self, watcher: "Watcher") -> pb.LoadReport:
        """What a watcher is to hear now.

        Raises EngineDeadError when the engine has died and nothing of leases is left to tell.
        """
        self._check(watcher)
        watcher.told(self._engine.load())
        return self._report(watcher)

    def _check(self, watcher: "Watcher") -> None:
        """Raises EngineDeadError as `tell` does: streams end a moment after their engine."""
        try:
            self._engine.check()
        except EngineDeadError:
            if not (watcher.uses or (len(self._ledger) and watcher.may_hear_of_ends())):
                raise

    def _look(self) -> None:
        """The engine has made a step: wakes the watchers to whom it matters."""
        if not self._watchers:
            return
        load = self._engine.load()
        for watcher in self._watchers:
            if not watcher.changed.is_set() and _matters(watcher.seen, load):
                watcher.changed.set()

    def _on_prefix_change(self, change: PrefixBlocks) -> None:
        if self._prefixes is None:
            return
        self._prefixes.apply(change)
        for watcher in self._watchers:
            watcher.changed.set()

    def _report(self, watcher: "Watcher") -> pb.LoadReport:
        self._sequence += 1
        report = self.sample(watcher.seen)
        report.sequence = self._sequence
        report.itl_s_p95 = self._engine.itl_s_p95()
        report.accounts.extend(watcher.accounts())
        if self._engine.info.lora_names:
            report.adapters.CopyFrom(_adapters(self._engine.adapters()))
        if not watcher.introduced:
            watcher.introduced = True
            report.identity.CopyFrom(_identity(self._engine.info.identity))
        if watcher.backlog is not None:
            change = watcher.backlog.take()
            if change is not None:
                report.prefix.reset = change.reset
                report.prefix.added.extend(change.added)
                report.prefix.removed.extend(change.removed)
            if watcher.backlog:
                watcher.changed.set()
        return report

    def sample(self, load: EngineLoad) -> pb.LoadReport:
        """A report of this load that is for nobody in particular, and has no number."""
        info = self._engine.info
        return pb.LoadReport(
            instance_id=self._instance_id,
            sampled_unix_ns=time.time_ns(),
            running_requests=load.running_requests,
            waiting_requests=load.waiting_requests,
            queued_prefill_tokens=load.queued_prefill_tokens,
            kv_usage=load.kv_usage,
            prefix_hit_tokens=load.prefix_hit_tokens,
            prefix_query_tokens=load.prefix_query_tokens,
            ttft_s=load.ttft_s,
            itl_s=load.itl_s,
            draining=self._draining,
            max_running_requests=info.max_running_requests,
            kv_tokens_max=info.total_kv_blocks * info.kv_block_size,
            generated_tokens=load.generated_tokens,
            model=info.served_names[0],
            attention_backend=info.attention_backend,
            takes_leases=self._takes_leases,
            requires_leases=self._requires_leases,
            link=not self._draining,
        )


class Watcher:
    """One who listens: what it has been told, and whether there is something new for it."""

    def __init__(
        self, prefixes: PrefixSet | None, silence_s: float, *, hears_of_uses: bool = False
    ) -> None:
        self.changed = asyncio.Event()
        self.seen = EngineLoad()
        self.introduced = False
        self.backlog = PrefixBacklog(prefixes) if prefixes is not None else None
        self._silence_s = silence_s
        self._hears_of_uses = hears_of_uses
        self._told_s: float | None = None
        self._dead_s: float | None = None  # when it was first seen that the engine has died
        self.uses: dict[Key, LeaseUse] = {}  # of leases, that there is something to tell of

    def on_use(self, use: LeaseUse) -> None:
        """A use of a lease has begun, given its first token, or ended."""
        self.uses[use.key] = use
        if len(self.uses) > KEPT_MAX:  # it has not read for long
            del self.uses[next(iter(self.uses))]
        self.changed.set()

    def may_hear_of_ends(self) -> bool:
        """Whether it is worth waiting for streams to end, the engine of which has died."""
        now_s = asyncio.get_running_loop().time()
        if self._dead_s is None:
            self._dead_s = now_s
        return self._hears_of_uses and now_s - self._dead_s < LAST_ENDS_S

    def accounts(self) -> list[pb.LeaseAccount]:
        """What there is to tell of leases, once; the oldest first, and not all at once."""
        told = [self.uses.pop(key) for key in list(self.uses)[:ACCOUNTS_MAX]]
        if self.uses:
            self.changed.set()
        return [use.account() for use in told]

    @property
    def is_due(self) -> bool:
        """Whether a report is to be sent: there is something new, or it has been quiet for long."""
        if self._told_s is None:
            return True
        since_s = asyncio.get_running_loop().time() - self._told_s
        return since_s >= (INTERVAL_MIN_S if self.changed.is_set() else self._silence_s)

    def told(self, load: EngineLoad) -> None:
        """It gets a report of this load."""
        self.changed.clear()
        self.seen = load
        self._told_s = asyncio.get_running_loop().time()

    async def until_due(self) -> None:
        """Waits for the time of the next report, whoever sends it."""
        while not self.is_due:
            told_s = self._told_s or 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout_at(told_s + self._silence_s):
                    await self.changed.wait()
            # No more than one report per interval. No pause where there is none: what waits here
            # goes on in the turn of the event loop in which the engine's step woke it.
            pause_s = told_s + INTERVAL_MIN_S - asyncio.get_running_loop().time()
            if pause_s > 0:
                await asyncio.sleep(pause_s)


def clamp_silence_ms(max_silence_ms: int) -> int:
    """The silence a watcher gets for the one it asked for; 0 means the default."""
    asked = max_silence_ms or SILENCE_DEFAULT_MS
    return min(max(asked, SILENCE_MIN_MS), SILENCE_MAX_MS)


def _adapters(use: AdapterUse) -> pb.Adapters:
    return pb.Adapters(
        loaded=use.loaded[-LOADED_MAX:],
        loaded_max=use.loaded_max,
        running=use.running,
        running_max=use.running_max,
        load_s=use.load_s,
    )


def _identity(identity: Identity) -> pb.Identity:
    return pb.Identity(
        weights_digest=identity.weights_digest,
        tokenizer_digest=identity.tokenizer_digest,
        numerics_digest=identity.numerics_digest,
        restores=identity.restores,
        adapters=identity.adapters,
    )


def _matters(seen: EngineLoad, load: EngineLoad) -> bool:
    return (
        seen.running_requests != load.running_requests
        or seen.waiting_requests != load.waiting_requests
        or seen.queued_prefill_tokens != load.queued_prefill_tokens
        or abs(seen.kv_usage - load.kv_usage) >= KV_USAGE_STEP
    )


def _unfinished(load: EngineLoad) -> int:
    return load.running_requests + load.waiting_requests
