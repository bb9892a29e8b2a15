"""What became of leases here: told to the routers that gave them, beside the load.

A router counts a request that it has placed as in flight until it hears of its end, and believes
this ledger before anybody. So an account is kept for a minute after its end, for routers whose
connection was lost meanwhile. All times are the engine's: a client that reads slowly is no slow
engine.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import grpc

from wire.spillway.v1.lease import LIFE_MAX_NS, SKEW_NS
from wire.spillway.v1.lease_pb2 import Lease
from wire.spillway.v1.load_pb2 import LeaseAccount
from wire.status import CallError
from wire.vllm.inference_pb2 import GenerateResponse

KEPT_NS: Final = 60_000_000_000
"""After its end: a router that is away for longer has given up what it had here."""

KEPT_MAX: Final = 8_192
"""Some hundred answers a second for that time; of more, the oldest are forgotten."""

_SLOW_SHARE: Final = 0.2
_SLOW_NS: Final = 50_000_000
"""Of the time of an answer, spent waiting for its reader, beyond which it says nothing: so large a
share, and more than what the writing of some messages takes."""

Key = tuple[str, int]


class LeaseUse:
    """One stream that came with a lease."""

    def __init__(self, lease: Lease, use: int, changed: Callable[["LeaseUse"], None]) -> None:
        self.key: Key = (lease.id, use)
        self.ended_ns: int | None = None
        self._account = LeaseAccount(
            lease_id=lease.id, issuer=lease.issuer, use=use, stage=LeaseAccount.STARTED
        )
        self._changed = changed
        self._arrived_ns = self._gave_ns = time.monotonic_ns()
        self._first_ns = 0
        self._waited_ns = 0  # for the reader

    def gave(self, response: GenerateResponse) -> None:
        """The engine gave a message."""
        self._gave_ns = time.monotonic_ns()
        account = self._account
        account.messages += 1
        account.output_tokens += response.outputs.num_tokens
        account.egress_bytes += response.ByteSize()
        account.finished = response.outputs.HasField("finish_info")
        if not self._first_ns:
            self._first_ns = self._gave_ns
            account.ttft_ns = self._first_ns - self._arrived_ns
            account.stage = LeaseAccount.FIRST_TOKEN
            self._changed(self)

    def taken(self) -> None:
        """Its reader has taken the message, and wants the next."""
        self._waited_ns += time.monotonic_ns() - self._gave_ns

    def end(self, code: grpc.StatusCode) -> None:
        """The stream is over."""
        self.ended_ns = time.monotonic_ns()
        account = self._account
        account.stage = LeaseAccount.ENDED
        account.status = code.value[0]
        account.duration_ns = self._gave_ns - self._arrived_ns
        lasted_ns = self.ended_ns - self._first_ns
        if self._first_ns and self._waited_ns < max(_SLOW_NS, _SLOW_SHARE * lasted_ns):
            account.decode_ns = self._gave_ns - self._first_ns
        self._changed(self)

    def account(self) -> LeaseAccount:
        """As of now."""
        told = LeaseAccount()
        told.CopyFrom(self._account)
        told.age_ns = time.monotonic_ns() - self._arrived_ns
        return told


class LeaseLedger:
    """The uses that go on, those of the last minute, and who wants to hear of them."""

    def __init__(self) -> None:
        self._running: dict[Key, LeaseUse] = {}
        self._ended: OrderedDict[Key, LeaseUse] = OrderedDict()
        self._uses: OrderedDict[str, tuple[int, int]] = OrderedDict()  # how many, and since when
        self._listeners: set[Callable[[LeaseUse], None]] = set()

    @contextmanager
    def use(self, lease: Lease) -> Iterator[LeaseUse]:
        """Of a stream that came with a lease, from its beginning to its end."""
        use, code = self._begin(lease), grpc.StatusCode.INTERNAL
        try:
            yield use
            code = grpc.StatusCode.OK
        except CallError as error:
            code = error.code
            raise
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        finally:
            use.end(code)

    def _begin(self, lease: Lease) -> LeaseUse:
        now = time.monotonic_ns()
        self._forget(now)
        count, since_ns = self._uses.get(lease.id, (0, now))
        self._uses[lease.id] = (count + 1, since_ns)
        use = LeaseUse(lease, count + 1, self._on_change)
        self._running[use.key] = use
        self._tell(use)
        return use

    def listen(self, listener: Callable[[LeaseUse], None]) -> list[LeaseUse]:
        """Calls the listener at each change from now on; what goes on, and what has of late."""
        self._listeners.add(listener)
        self._forget(time.monotonic_ns())
        return [*self._ended.values(), *self._running.values()]

    def leave(self, listener: Callable[[LeaseUse], None]) -> None:
        """Calls it no more. No effect on one that does not listen."""
        self._listeners.discard(listener)

    def __len__(self) -> int:
        return len(self._running)

    def _on_change(self, use: LeaseUse) -> None:
        if use.ended_ns is not None:
            self._running.pop(use.key, None)
            self._ended[use.key] = use
            if len(self._ended) > KEPT_MAX:
                self._ended.popitem(last=False)
        self._tell(use)

    def _tell(self, use: LeaseUse) -> None:
        for listener in self._listeners:
            listener(use)

    def _forget(self, now: int) -> None:
        while self._ended:
            key, use = next(iter(self._ended.items()))
            if use.ended_ns is None or now - use.ended_ns < KEPT_NS:
                break
            del self._ended[key]
        while self._uses:  # no lease can come again that was first used so long ago
            lease_id, (_, since_ns) = next(iter(self._uses.items()))
            if now - since_ns < LIFE_MAX_NS + 2 * SKEW_NS:
                break
            del self._uses[lease_id]
