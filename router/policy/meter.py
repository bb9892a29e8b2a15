"""Whose the working time of a site's replicas is: each attempt's share of it.

A replica works while at least one request is in flight there. An engine batches: in one step it
computes a part of some prompts and a token of each stream. So an attempt's share is

    what its prompt takes there  +  an equal part of the rest for each stream beside it

where the first is the prompt's uncached tokens by what a token costs at that replica, as the core
has learned it. While prompts are pending the replica's time is held for them, up to what they take
together; what is beyond belongs to the streams that decode meanwhile, in equal parts. What is held
and turns out not to be needed goes to the streams, too; where there is none, to the prompts. So the
shares of all attempts add up to the time that the replica worked, whatever the estimates: these
only shift it between those who shared it.

Which of a site's busy replicas are the committed ones nobody can say: an instant at which so many
work is metered by the same part at each of them, those beyond the committed ones over all.

Rejected: equal parts for all in flight, which is what a bill split by time is. A prompt of thirty
thousand tokens that stops an engine for two seconds would pay a thirtieth of them.
"""

from router.policy.fleet import Site, SiteKind


class Share:
    """One attempt's place at a replica, and what it has come to."""

    __slots__ = (
        "decodes",
        "mark_metered_ns",
        "mark_ns",
        "metered_ns",
        "ns",
        "pending",
        "prefill_ns",
    )

    def __init__(self, prefill_ns: float) -> None:
        self.prefill_ns = max(0.0, prefill_ns)  # that its prompt is taken to need
        self.ns = 0.0  # of one replica; final once it has ended
        self.metered_ns = 0.0  # of these
        self.pending = True  # its prompt
        self.decodes = False
        self.mark_ns = 0.0
        self.mark_metered_ns = 0.0


class _Replica:
    """The time of one endpoint that is not anybody's yet. A router's engines count together."""

    __slots__ = (
        "at",
        "decoding",
        "demand_ns",
        "each_metered_ns",
        "each_ns",
        "engines",
        "held_metered_ns",
        "held_ns",
        "metered_at",
        "pending",
    )

    def __init__(self, now: int, metered_at: float) -> None:
        self.engines = 0  # that work
        self.pending = 0
        self.decoding = 0
        self.demand_ns = 0.0  # of all that are pending
        self.held_ns = 0.0  # for them
        self.held_metered_ns = 0.0
        self.each_ns = 0.0  # that a stream which was here from the start would have
        self.each_metered_ns = 0.0
        self.at = now
        self.metered_at = metered_at  # the site's clock of metered time then


class SiteMeter:
    """The meter of one site, told of every attempt's beginning, first token and end."""

    __slots__ = ("_at", "_busy", "_committed", "_metered_ns", "_replicas")

    def __init__(self, site: Site) -> None:
        self._committed = _committed(site)
        self._busy = 0  # engines that work
        self._metered_ns = 0.0  # of an engine that worked from the start
        self._at = 0
        self._replicas: dict[str, _Replica] = {}

    def adopt(self, site: Site, now: int) -> None:
        """Another part of its replicas is committed from now on."""
        self._advance(now)
        self._committed = _committed(site)

    def begin(self, endpoint: str, share: Share, now: int, *, streams: bool, more: int) -> None:
        """An attempt is sent, and so many engines more work there for it.

        Of an answer that comes whole (not `streams`) no first token is told: it is taken for a
        stream from the beginning.
        """
        self._advance(now)
        replica = self._replicas.get(endpoint)
        if replica is None:
            replica = self._replicas[endpoint] = _Replica(now, self._metered_ns)
        self._flow(replica, now)
        self._busy += more
        replica.engines += more
        replica.pending += 1
        replica.demand_ns += share.prefill_ns
        if not streams:
            _decode(replica, share)

    def first_token(self, endpoint: str, share: Share, now: int) -> None:
        """The first token of an attempt came. Only the first call counts."""
        replica = self._replicas[endpoint]
        if not share.pending or share.decodes:
            return
        self._advance(now)
        self._flow(replica, now)
        _prefilled(replica, share)
        _decode(replica, share)
        _release(replica, share)

    def end(self, endpoint: str, share: Share, now: int, *, fewer: int) -> None:
        """An attempt ended, and so many engines have nothing left to do there."""
        replica = self._replicas[endpoint]
        self._advance(now)
        self._flow(replica, now)
        if share.pending:
            _prefilled(replica, share)
        if share.decodes:
            share.decodes = False
            share.ns += replica.each_ns - share.mark_ns
            share.metered_ns += replica.each_metered_ns - share.mark_metered_ns
            replica.decoding -= 1
        _release(replica, share)
        self._busy -= fewer
        replica.engines -= fewer
        if not replica.pending and not replica.decoding:
            self._busy -= replica.engines
            del self._replicas[endpoint]

    def _advance(self, now: int) -> None:
        """The site's clock of metered time: one engine's, as it works on."""
        if self._committed is not None and self._busy > self._committed:
            beyond = (self._busy - self._committed) / self._busy
            self._metered_ns += beyond * max(0, now - self._at)
        self._at = max(now, self._at)

    def _flow(self, replica: _Replica, now: int) -> None:
        """A replica's time since the last look goes to those whose it is."""
        ns = float(replica.engines * max(0, now - replica.at))
        metered_ns = replica.engines * (self._metered_ns - replica.metered_at)
        replica.at = max(now, replica.at)
        replica.metered_at = self._metered_ns
        if ns <= 0.0:
            return
        held = 1.0
        if replica.decoding:
            held = min(1.0, max(0.0, replica.demand_ns - replica.held_ns) / ns)
            replica.each_ns += (1.0 - held) * ns / replica.decoding
            replica.each_metered_ns += (1.0 - held) * metered_ns / replica.decoding
        replica.held_ns += held * ns
        replica.held_metered_ns += held * metered_ns


def _committed(site: Site) -> int | None:
    """So many replicas are paid for, used or not; None: all, as at home."""
    return site.price.committed_replicas if site.kind is SiteKind.RENTED else None


def _decode(replica: _Replica, share: Share) -> None:
    """It shares what is left from now on."""
    share.decodes = True
    share.mark_ns = replica.each_ns
    share.mark_metered_ns = replica.each_metered_ns
    replica.decoding += 1


def _prefilled(replica: _Replica, share: Share) -> None:
    """Its prompt has had what it takes, or is given up: it has that of what is held."""
    share.pending = False
    part = min(1.0, share.prefill_ns / replica.held_ns) if replica.held_ns > 0.0 else 0.0
    _take(replica, share, part)
    replica.pending -= 1
    replica.demand_ns -= share.prefill_ns
    if not replica.pending:
        replica.demand_ns = 0.0  # sums of floats drift


def _take(replica: _Replica, share: Share, part: float) -> None:
    share.ns += part * replica.held_ns
    share.metered_ns += part * replica.held_metered_ns
    replica.held_ns -= part * replica.held_ns
    replica.held_metered_ns -= part * replica.held_metered_ns


def _release(replica: _Replica, share: Share) -> None:
    """What is held goes to the streams once no prompt is pending, or to the last one there."""
    if replica.pending or replica.held_ns <= 0.0:
        return
    if replica.decoding:
        replica.each_ns += replica.held_ns / replica.decoding
        replica.each_metered_ns += replica.held_metered_ns / replica.decoding
        replica.held_ns = replica.held_metered_ns = 0.0
    else:
        _take(replica, share, 1.0)
