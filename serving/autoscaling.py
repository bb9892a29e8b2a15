"""Serve's autoscaling policy of a site: as many replicas as the routers want of it.

Serve makes one of these in its controller, from `policy_function` and `policy_kwargs` of the
deployment's AutoscalingConfig, and calls it about ten times a second. What routers want is watched
by a thread (spillway.v1.Fleet.Watch), so that no call waits for a network. Delays are the router's:
it says what is wanted once it is sure of that.

A router that is away wants nothing: the site then keeps what it has for a while, grows by its own
ongoing requests, and shrinks by them only after that. A site whose replicas have requests is never
scaled to nothing.
"""

import logging
import threading
import time
import weakref
from collections.abc import Sequence
from math import ceil
from typing import Any, Final, Protocol

import grpc

from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1 import fleet_pb2_grpc

FRESH_S: Final = 15.0  # a router says so each second
AWAY_S: Final = 300.0  # a router restarts, or is replaced, in less
SPARE_S: Final = 600.0  # as long as a router waits by default, and its clients find another
_WATCH_MS: Final = 1_000
_RETRY_S: Final = 2.0
_ROUTERS_MAX: Final = 64
_OPTIONS: Final = (("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5_000))
"""A router whose machine is gone says nothing more, and does not say that either."""

_log = logging.getLogger(__name__)


class Seen(Protocol):
    """What of Serve's AutoscalingContext is read here."""

    target_num_replicas: int
    total_num_requests: float


class Heard:
    """What each router last wanted of one site. Shared with the threads that watch."""

    def __init__(self, site: str) -> None:
        self.site = site
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._wants: dict[str, tuple[float, pb.Scaling]] = {}
        self._needed: list[tuple[float, int]] = []  # by several, of late; each less than before

    def hear(self, router: str, state: pb.FleetState) -> None:
        """A router told the state of its fleet."""
        for site in state.sites:
            if site.name == self.site and site.HasField("scaling"):
                with self._lock:
                    self._wants[router] = (time.monotonic(), site.scaling)

    def wanted(self, now_s: float) -> int | None:
        """What all routers want together; None where none has spoken of late.

        Each wants what its own requests need. Together they need the sum of that, and no fewer than
        the one that wants the most; and they have no more than each of them lets the site have.
        A router's own want has waited before it is less; a sum of needs has not, so it waits here.
        """
        with self._lock:
            fresh = [want for at_s, want in self._wants.values() if now_s - at_s <= FRESH_S]
        if not fresh:
            return None
        together = self._together(fresh, now_s) if len(self._wants) > 1 else 0
        most = min(want.replicas_max for want in fresh)  # less what is lent, and within budgets
        return min(most, max(together, *(want.wanted for want in fresh), 0))

    def _together(self, fresh: Sequence[pb.Scaling], now_s: float) -> int:
        """The most replicas that all needed at any time within SPARE_S."""
        needed = ceil(sum(want.need for want in fresh) - 0.03)
        since = [one for one in self._needed if now_s - one[0] <= SPARE_S and one[1] > needed]
        self._needed = [*since, (now_s, needed)]
        return self._needed[0][1]


class RouterWants:
    """The policy, as Serve calls it."""

    def __init__(
        self,
        site: str,
        routers: Sequence[str],
        target_ongoing_requests: float,
        key_file: str | None = None,
        authority: str | None = None,
    ) -> None:
        """`routers` are host:port; a reader's key and the authority of their TLS where needed."""
        self._target = target_ongoing_requests
        self._heard = Heard(site)
        self._away_since_s: float | None = None
        for address in routers[:_ROUTERS_MAX]:
            threading.Thread(
                target=_watch,
                args=(self._heard, address, key_file, authority),
                name=f"spillway-wants-{address}",
                daemon=True,
            ).start()
        weakref.finalize(self, self._heard.stopped.set)  # Serve makes another one on a new config

    def __call__(self, ctx: Seen) -> tuple[int, dict[str, Any]]:
        """How many replicas the site is to have; Serve keeps it within its bounds."""
        now_s, has = time.monotonic(), ctx.target_num_replicas
        ongoing = ctx.total_num_requests
        wanted = self._heard.wanted(now_s)
        if wanted is not None:
            self._away_since_s = None
        else:
            if self._away_since_s is None:
                self._away_since_s = now_s
            own = ceil(ongoing / self._target)
            is_long = now_s - self._away_since_s > AWAY_S
            wanted = own if is_long else max(own, has)
        return max(wanted, 1) if ongoing > 0 else wanted, {}


def _watch(heard: Heard, address: str, key_file: str | None, authority: str | None) -> None:
    """Hear what a router wants until the policy is gone."""
    said = None  # why it could not be heard, which is logged once
    while not heard.stopped.is_set():
        try:
            with _channel(address, authority) as channel:
                call = fleet_pb2_grpc.FleetStub(channel).Watch(
                    pb.WatchFleetRequest(interval_ms=_WATCH_MS), metadata=_key(key_file)
                )
                for state in call:
                    heard.hear(address, state)
                    said = None
                    if heard.stopped.is_set():
                        call.cancel()
                        return
        except (grpc.RpcError, OSError, ValueError) as error:
            why = str(error)
            if isinstance(error, ValueError):
                why = f"{key_file} holds no key"  # gRPC's words would have it
            if isinstance(error, grpc.Call):
                why = f"{error.code().name}: {' '.join((error.details() or '').split())[:200]}"
            if why != said:
                _log.warning("router %s does not say what it wants: %s", address, why)
            said = why
        heard.stopped.wait(_RETRY_S)


def _channel(address: str, authority: str | None) -> Any:
    if authority is None:
        return grpc.insecure_channel(address, options=_OPTIONS)
    with open(authority, "rb") as file:  # noqa: PTH123 - pickled by value, with what it names
        credentials = grpc.ssl_channel_credentials(file.read())
    return grpc.secure_channel(address, credentials, options=_OPTIONS)


def _key(key_file: str | None) -> tuple[tuple[str, str], ...]:
    if key_file is None:
        return ()
    with open(key_file, encoding="utf-8") as file:  # noqa: PTH123 - as above
        return (("authorization", f"Bearer {file.read().strip()}"),)
