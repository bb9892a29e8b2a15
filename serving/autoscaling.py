"""Serve's autoscaling policy of a site: as many replicas as the routers want of it.

Serve makes one of these in its controller, from `policy_function` and `policy_kwargs` of the
deployment's AutoscalingConfig, and calls it about ten times a second. What routers want is watched
by a thread (spillway.v1.Fleet.Watch), so that no call waits for a network. Delays are the router's:
it says what is wanted once it is sure of that.

A router that is away wants nothing: the site then keeps what it has for a while, grows by its own
ongoing requests, and shrinks by them only after that. It is not scaled to nothing then while
requests run there; where routers are heard and want nothing of it, requests have a while to end.
"""

import logging
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any, Final, Protocol

import grpc

from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1 import fleet_pb2_grpc

FRESH_S: Final = 15.0  # a router says so each second
AWAY_S: Final = 300.0  # a router restarts, or is replaced, in less
SPARE_S: Final = 600.0  # as long as a router waits by default, and its clients find another
LINGER_S: Final = 30.0  # as long as routers let the streams of a site that drains end by default
_WATCH_MS: Final = 1_000
_RETRY_S: Final = 2.0
_RESOLVE_S: Final = 10.0
_ROUTERS_MAX: Final = 64
_OPTIONS: Final = (("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 5_000))
"""A router whose machine is gone says nothing more, and does not say that either."""

_log = logging.getLogger(__name__)

Tls = Mapping[str, str | None] | None
"""See RouterWants."""


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
        tls: Mapping[str, str | None] | None = None,
        each_address: bool = False,
    ) -> None:
        """`routers` are host:port; a reader's key where needed.

        `tls` has authority, and may have certificate, key and identity, as AutoscaleSettings has
        them; without it routers are reached in plaintext.
        """
        self._target = target_ongoing_requests
        self._heard = Heard(site)
        self._away_since_s: float | None = None
        self._unwanted_since_s: float | None = None
        follow = _watch_each if each_address else _watch
        for address in routers[:_ROUTERS_MAX]:
            _start(follow, self._heard, address, key_file, tls, self._heard.stopped)
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
        return self._with_last(wanted, ongoing, now_s), {}

    def _with_last(self, wanted: int, ongoing: float, now_s: float) -> int:
        """As many, and one where its requests could not go on elsewhere, or may end by themselves.

        Where routers are heard and want nothing of the site, they have the streams that linger go
        on elsewhere, as from any replica that drains: a metered one would be paid for as long as
        the longest stream lasts.
        """
        if wanted or not ongoing:
            self._unwanted_since_s = None
            return wanted
        if self._away_since_s is not None:
            self._unwanted_since_s = None
            return 1
        if self._unwanted_since_s is None:
            self._unwanted_since_s = now_s
        return 1 if now_s - self._unwanted_since_s < LINGER_S else 0


def _start(
    follow: Callable[..., None],
    heard: Heard,
    address: str,
    key_file: str | None,
    tls: Tls,
    stopped: threading.Event,
) -> None:
    """In a thread of its own, until it is stopped."""
    threading.Thread(
        target=follow,
        args=(heard, address, key_file, tls, stopped),
        name=f"spillway-wants-{address}",
        daemon=True,
    ).start()


def _watch_each(
    heard: Heard, name: str, key_file: str | None, tls: Tls, stopped: threading.Event
) -> None:
    """Watch whoever has an address of this name, as they come and go."""
    watched: dict[str, threading.Event] = {}
    if tls is not None:
        tls = {"identity": name.rpartition(":")[0], **{k: v for k, v in tls.items() if v}}
    while not stopped.is_set():
        try:
            found = _addresses(name)
        except OSError as error:
            if not watched:
                _log.warning("%s has no address: %s", name, error)
            found = set(watched)  # a name server may be away
        for gone in watched.keys() - found:
            watched.pop(gone).set()
        for new in sorted(found - watched.keys())[: _ROUTERS_MAX - len(watched)]:
            watched[new] = threading.Event()
            _start(_watch, heard, new, key_file, tls, watched[new])
        stopped.wait(_RESOLVE_S)
    for event in watched.values():
        event.set()


def _addresses(name: str) -> set[str]:
    """Of host:port. Where there are those of both kinds, of one: they would be the same routers."""
    host, _, port = name.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    v4 = {str(at[0]) for family, *_, at in found if family == socket.AF_INET}
    v6 = {f"[{at[0]}]" for family, *_, at in found if family == socket.AF_INET6}
    return {f"{one}:{port}" for one in v4 or v6}


def _watch(
    heard: Heard, address: str, key_file: str | None, tls: Tls, stopped: threading.Event
) -> None:
    """Hear what a router wants until it is gone, or the policy is."""
    said = None  # why it could not be heard, which is logged once
    while not stopped.is_set():
        try:
            with _channel(address, tls) as channel:
                call = fleet_pb2_grpc.FleetStub(channel).Watch(
                    pb.WatchFleetRequest(interval_ms=_WATCH_MS), metadata=_key(key_file)
                )
                for state in call:
                    heard.hear(address, state)
                    said = None
                    if stopped.is_set():
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
        stopped.wait(_RETRY_S)


def _channel(address: str, tls: Tls) -> Any:
    """Its files are read anew each time, as they are replaced."""
    if tls is None:
        return grpc.insecure_channel(address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        _bytes_of(tls["authority"]), _bytes_of(tls.get("key")), _bytes_of(tls.get("certificate"))
    )
    options: tuple[tuple[str, object], ...] = _OPTIONS
    if tls.get("identity"):
        options = (*options, ("grpc.ssl_target_name_override", tls["identity"]))
    return grpc.secure_channel(address, credentials, options=options)


def _bytes_of(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as file:  # noqa: PTH123 - pickled by value, with what it names
        return file.read()


def _key(key_file: str | None) -> tuple[tuple[str, str], ...]:
    if key_file is None:
        return ()
    with open(key_file, encoding="utf-8") as file:  # noqa: PTH123 - as above
        return (("authorization", f"Bearer {file.read().strip()}"),)
