"""Which prompt crashes engines: told from those that were only beside it, and kept away.

A request that was in flight at one crash is retried like any other: engines die of many things. One
that was in flight at two crashes, and had got nothing from either attempt, is a suspect. (A stream
that had got tokens is not held to account for the crash that broke it; it shares the next one with
the poison that broke it, or with a site of which one engine after the other dies.) Most suspects
are a poison's neighbours: retried with it, they died with it again. So

1. while it is not known whether a lost connection was a crash at all, a suspect waits (seconds);
2. if it is the only suspect of its last crash, it is quarantined, and the crashes it was at are
   held against nobody else;
3. otherwise it goes on alone, that is to an endpoint where no other suspect is. What ends well is
   cleared, and so is every request with the same prompt. If the endpoint crashes, there is one
   suspect in the crash, and 2 applies.

A poison thus costs two engines, three where it had company at both, and one more where it kills in
the middle of its answer, however often clients send it again: suspicion is of the prompt (a digest
of the model's name and the prompt) and not of the call. A prompt that many send clears itself by
ending well somewhere.

What counts as a crash: attempts ended because the endpoint failed or could not be reached, and then
it was listed no more, or came back as another instance, or stayed away after it had refused the
connection. One that comes back as the instance it was had lost its link, and a silence that breaks
no connection says nothing of the engine: neither is held against anybody. Nor is the end of an
endpoint that drains.

Rejected: to quarantine everything that was in flight at two crashes, which takes a poison's
neighbours with it; and to score prompts by how often they are near crashes, which needs more
crashes than anybody wants to have.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import Enum

from router.policy.fleet import Limits
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S

UNCLEAR_MAX_NS = 5 * NS_PER_S
"""How long a lost endpoint may be waited for, to say whether it crashed."""

_REPORT_AFTER_NS = 250 * NS_PER_MS  # a report heard sooner may have been sent before the crash
_CRASHES = 2  # at which somebody is suspected


class Standing(Enum):
    """What a request with some prompt may do."""

    FREE = "free"
    UNCLEAR = "unclear"  # wait until it is known what happened
    ALONE = "alone"  # go where no other suspect is
    QUARANTINED = "quarantined"


@dataclass(slots=True, eq=False)
class Loss:
    """An endpoint that failed or was lost with requests in flight."""

    endpoint: str
    instance: str
    at_ns: int
    crashed: bool = False  # False: not known yet
    prompts: set[str] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Suspect:
    """A prompt that was in flight at a loss."""

    fingerprint: str
    model: str
    tenant: str
    prompt_tokens: int
    losses: list[Loss]
    seen_ns: int
    quarantined_ns: int | None = None  # since when
    refused: int = 0


class Quarantine:
    """The suspects of one router, and those of them that it keeps away."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._suspects: OrderedDict[str, Suspect] = OrderedDict()  # the longest unseen first
        self._open: dict[str, Loss] = {}  # by endpoint: those of which it is not known what it was
        self.count = 0  # prompts that were ever quarantined

    def __len__(self) -> int:
        return len(self._suspects)

    def on_failed(
        self, request: Request, endpoint: str, instance: str, now: int, *, got_nothing: bool
    ) -> None:
        """An attempt ended because its endpoint failed or could not be reached."""
        if not (request.fingerprint and got_nothing):
            return
        suspect = self._suspects.get(request.fingerprint)
        loss = self._open.get(endpoint)
        if loss is None:
            loss = self._open[endpoint] = Loss(endpoint, instance, now)
        if suspect is None:
            suspect = Suspect(
                request.fingerprint, request.model, request.tenant, request.prompt_tokens, [], now
            )
            self._suspects[request.fingerprint] = suspect
            if len(self._suspects) > self.limits.suspects_max:
                self._suspects.popitem(last=False)
        if loss not in suspect.losses:
            suspect.losses.append(loss)
            loss.prompts.add(suspect.fingerprint)
        suspect.seen_ns = now
        self._suspects.move_to_end(suspect.fingerprint)

    def on_ok(self, fingerprint: str) -> None:
        """A request with this prompt ended well: it is no poison."""
        suspect = self._suspects.get(fingerprint)
        if suspect is not None and suspect.quarantined_ns is None:
            del self._suspects[fingerprint]

    def on_report(self, endpoint: str, instance: str, now: int) -> None:
        """An endpoint says which instance it is: another one means that the last has died."""
        loss = self._open.get(endpoint)
        if loss is None:
            return
        if instance != loss.instance and loss.instance:
            self._settle(loss, crashed=True)
        elif now - loss.at_ns >= _REPORT_AFTER_NS:
            self._settle(loss, crashed=False)

    def on_gone(self, endpoint: str, *, drained: bool) -> None:
        """An endpoint is listed no more; one that drained was taken away, and has not crashed."""
        loss = self._open.get(endpoint)
        if loss is not None:
            self._settle(loss, crashed=not drained)

    def unclear(self, now: int) -> list[str]:
        """The endpoints that have been away for too long to wait for a sign."""
        if not self._open:
            return []
        return [name for name, one in self._open.items() if now - one.at_ns >= UNCLEAR_MAX_NS]

    def assume(self, endpoint: str, *, crashed: bool) -> None:
        """No sign came: take it as this."""
        self._settle(self._open[endpoint], crashed=crashed)

    def standing(self, fingerprint: str, now: int) -> Standing:
        """What a request with this prompt may do now."""
        suspect = self._suspects.get(fingerprint)
        if suspect is None:
            return Standing.FREE
        if suspect.quarantined_ns is not None:
            left_ns = suspect.quarantined_ns + self.limits.quarantine_ns - now
            return Standing.QUARANTINED if left_ns > 0 else Standing.FREE
        if len(suspect.losses) < _CRASHES:
            return Standing.FREE
        if not all(loss.crashed for loss in suspect.losses):
            return Standing.UNCLEAR
        return Standing.ALONE if self._has_company(suspect) else Standing.QUARANTINED

    def refuse(self, fingerprint: str, now: int) -> Suspect:
        """A request with a quarantined prompt is refused; the prompt is from the first such on."""
        suspect = self._suspects[fingerprint]
        if suspect.quarantined_ns is None:
            suspect.quarantined_ns = now
            self.count += 1
            for loss in suspect.losses:
                self._forgive(loss, but=fingerprint)
        suspect.refused += 1
        return suspect

    def is_suspect(self, fingerprint: str) -> bool:
        """Whether a request with this prompt should be alone among suspects."""
        suspect = self._suspects.get(fingerprint)
        return suspect is not None and len(suspect.losses) >= _CRASHES

    def quarantined(self) -> list[Suspect]:
        """The prompts that are kept away."""
        return [one for one in self._suspects.values() if one.quarantined_ns is not None]

    def release(self, fingerprint: str) -> None:
        """Let a prompt in again. No effect on one that is not in quarantine."""
        suspect = self._suspects.get(fingerprint)
        if suspect is not None and suspect.quarantined_ns is not None:
            del self._suspects[fingerprint]

    def expire(self, now: int) -> None:
        """Forget what is old: suspects that were not seen again, quarantines that are over."""
        oldest_ns = now - self.limits.quarantine_ns
        while self._suspects:
            fingerprint, suspect = next(iter(self._suspects.items()))
            if max(suspect.seen_ns, suspect.quarantined_ns or 0) > oldest_ns:
                return
            del self._suspects[fingerprint]

    def _has_company(self, suspect: Suspect) -> bool:
        """Whether another suspect was at its last crash."""
        others = suspect.losses[-1].prompts - {suspect.fingerprint}
        return any(
            other in self._suspects and len(self._suspects[other].losses) >= _CRASHES
            for other in others
        )

    def _forgive(self, loss: Loss, *, but: str = "") -> None:
        """A loss is no longer held against anybody, but for one that was to blame."""
        for fingerprint in loss.prompts - {but}:
            suspect = self._suspects.get(fingerprint)
            if suspect is not None and loss in suspect.losses:
                suspect.losses.remove(loss)
                if not suspect.losses:
                    del self._suspects[fingerprint]

    def _settle(self, loss: Loss, *, crashed: bool) -> None:
        del self._open[loss.endpoint]
        loss.crashed = crashed
        if not crashed:
            self._forgive(loss)
