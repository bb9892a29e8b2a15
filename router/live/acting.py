"""The one place through which every action passes: it is written down, done, and written down.

Before anything is done the log says who asks for what, and how it stands; before anybody is told
that it is done, it says how it stands then. Where it cannot be written nothing is done, and serving
goes on. An action that its client stops waiting for is done to its end, and one at a time.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, TypeVar, cast

from router.audit.journal import AuditError, Journal, journal_at
from router.audit.pruning import Keeping
from router.audit.record import LINE_BYTES_MAX, Head, canonical
from router.live import background
from router.live.refusals import Refusals, is_stranger, short
from router.live.settings import AuditSettings
from router.policy.caller import Caller, Role
from wire.status import CallError, overloaded, unavailable

ACTIONS_MAX: Final = 64
"""That wait for their turn: each takes two writes to the disk."""

TEXT_CHARS_MAX: Final = 1_000
_CHANGES_MAX: Final = 200
_CONTENT_BYTES_MAX: Final = LINE_BYTES_MAX - 1_024  # what seals it comes on top

_log = logging.getLogger(__name__)
Result = TypeVar("Result")
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: what was proved of them, and from where."""

    name: str
    role: str
    tenant: str = ""
    peer: str = ""


ITSELF: Final = Actor("router", "router")
"""By the fleet file's times, by what was said elsewhere, or as endpoints come and go."""


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done: a word for it, to what, with what, and how that stands."""

    action: str
    target: str
    state: Callable[[], Values]
    asked: Values = field(default_factory=dict)


class Acting:
    """Performs actions, and keeps the log of them where there is one."""

    def __init__(
        self,
        router: str,
        journal: Journal | None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock_s = clock_s
        self._router = router
        self._journal = journal
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        now_s = clock_s()
        self._strangers, self._known = Refusals(now_s), Refusals(now_s)
        self.records = 0
        self.problem = ""  # why the last record could not be written

    @property
    def head(self) -> Head | None:
        """The last record of the log; None where there is no log."""
        return self._journal.head if self._journal is not None else None

    async def start(self, fleet: Values) -> None:
        """Says that this process begins. A log that is of no use is told of, and stops nothing."""
        async with self._lock:
            try:
                await self._write("started", self._router, "done", after=fleet)
            except AuditError as error:
                _log.error("no action is taken until the audit log can be written: %s", error)

    async def perform(
        self, actor: Actor, act: Act, do: Callable[[], Result | Awaitable[Result]]
    ) -> Result:
        """Does it. Raises CallError: what `do` raises, and UNAVAILABLE where no log can be kept."""
        if self._waiting >= ACTIONS_MAX:
            raise overloaded(f"{ACTIONS_MAX} actions wait for their turn", 1_000_000_000)
        self._waiting += 1
        task = asyncio.ensure_future(self._in_turn(actor, act, do))
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def refused(self, actor: Actor, action: str, target: str, reason: str) -> None:
        """Somebody wanted what is not theirs to do. Some of these are recorded, and all counted."""
        of_these = self._refusals(actor)
        if len(self._tasks) >= ACTIONS_MAX or not of_these.may_record(self._clock_s()):
            address = actor.peer.rpartition(":")[0]  # all that is known of a stranger
            of_these.count(address if is_stranger(actor.role) else actor.name, action)
            return
        who = Actor(short(actor.name), actor.role, short(actor.tenant), short(actor.peer))
        self._later("refused", who, short(action), short(target), {"reason": reason})

    def happened(self, action: str, target: str, before: Values, after: Values) -> None:
        """What the router did without being asked here: nobody is there to be refused."""
        self._later("done", ITSELF, action, target, {"before": before, "after": after})

    def look(self, *, closes: bool = False) -> None:
        """Says how many refusals have no record of their own. Call it about once a second."""
        now_s = self._clock_s()
        for role, those in (("unknown", self._strangers), ("known", self._known)):
            if len(self._tasks) < ACTIONS_MAX or closes:
                said = those.due(now_s, closes=closes)
                if said:
                    self._later("refused", Actor("several", role), "several", "", said)

    def _refusals(self, actor: Actor) -> Refusals:
        return self._strangers if is_stranger(actor.role) else self._known

    async def close(self) -> None:
        """Lets what is under way end, and closes the log."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.look(closes=True)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)

    async def _in_turn(
        self, actor: Actor, act: Act, do: Callable[[], Result | Awaitable[Result]]
    ) -> Result:
        async with self._lock:
            try:
                before = dict(act.state())
                asked = await self._write(
                    *(act.action, act.target, "asked"), actor, asked=act.asked, before=before
                )
            except AuditError as error:
                raise unavailable(f"nothing is done: the audit log: {error}") from error
            try:
                answer = do()
                result = await answer if inspect.isawaitable(answer) else answer
            except Exception as error:
                refused = isinstance(error, CallError)
                reason = error.message if isinstance(error, CallError) else repr(error)
                stage = "refused" if refused else "failed"
                await self._told(act, stage, actor, asked, reason=reason)
                raise
            after = dict(act.state())
            try:
                await self._write(act.action, act.target, "done", actor, of=asked, after=after)
            except AuditError as error:
                raise unavailable(f"it is done, and the audit log: {error}") from error
            return cast("Result", result)

    async def _told(self, act: Act, stage: str, actor: Actor, asked: int, **more: Any) -> None:
        try:
            await self._write(act.action, act.target, stage, actor, of=asked, **more)
        except AuditError as error:
            _log.warning("the audit log: %s", error)

    def _later(
        self, stage: str, actor: Actor, action: str, target: str, more: dict[str, Any]
    ) -> None:
        if len(self._tasks) >= ACTIONS_MAX:
            said = f"{action} of {_short(target)} by {actor.name}"
            _log.warning("the audit log lacks %s: too much waits for the disk", said)
            return
        task = background.begin(self._write_later(action, target, stage, actor, more), "audit")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write_later(
        self, action: str, target: str, stage: str, actor: Actor, more: dict[str, Any]
    ) -> None:
        async with self._lock:
            try:
                await self._write(action, target, stage, actor, **more)
            except AuditError as error:
                _log.warning("the audit log: %s", error)

    async def _write(
        self, action: str, target: str, stage: str, actor: Actor | None = None, **more: Any
    ) -> int:
        """The number of the record. Raises AuditError."""
        unix_ns = time.time_ns()
        content = {
            "instance": self._router,
            "unix_ns": unix_ns,
            "at": datetime.fromtimestamp(unix_ns / 1e9, UTC).isoformat(timespec="microseconds"),
            "action": action,
            "target": _short(target),
            "stage": stage,
            **_said(more),
        }
        if actor is not None:
            words = {key: _short(value) for key, value in asdict(actor).items() if value}
            content["who"] = words
        name = actor.name if actor is not None else "itself"
        if stage != "asked":
            _log.info("%s of %s by %s: %s", action, _short(target), name, stage)
        if self._journal is None:
            return 0
        try:
            head = await asyncio.to_thread(self._journal.append, _fitting(content))
        except AuditError as error:
            self.problem = str(error)
            raise
        self.problem = ""
        self.records += 1
        return head.number

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._waiting -= 1
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it


def journal_of(audit: AuditSettings) -> Journal | None:
    """The log that settings name; None where they name none. Raises AuditError."""
    keeping = Keeping(audit.files_max, audit.kept_s)
    return journal_at(audit.path, audit.bytes_max, audit.secret_file, keeping)


def actor_of(caller: Caller, context: Any) -> Actor:
    """Who makes a call: by the credentials, the certificate, or at least the address."""
    names = certificate_names(context)
    name = caller.name or (f"certificate:{names[0]}" if names else caller.role.value)
    role = "certificate" if names and caller.role is Role.ANYBODY else caller.role.value
    return Actor(name, role, caller.tenant, str(context.peer() or ""))


def certificate_names(context: Any) -> tuple[str, ...]:
    """The names in the certificate of who makes a call; none where it has shown none."""
    shown = context.auth_context().get("x509_subject_alternative_name", ())
    return tuple(name.decode("ascii", "backslashreplace") for name in shown)


def _said(more: Values) -> dict[str, Any]:
    return {key: _bounded(value) for key, value in more.items() if value not in ("", {}, None)}


def _fitting(content: dict[str, Any]) -> dict[str, Any]:
    """The same where a line has room for it; else with digests for what is long."""
    if len(canonical(content)) <= _CONTENT_BYTES_MAX:
        return content
    long = {key: content[key] for key in ("asked", "before", "after") if key in content}
    digests = {key: sha256(canonical(value)).hexdigest() for key, value in long.items()}
    return {**content, **{key: {"sha256": digest} for key, digest in digests.items()}}


def _bounded(value: Any) -> Any:
    """Text and lists of a length that a record has room for."""
    if isinstance(value, str):
        return _short(value)
    if isinstance(value, Mapping):
        return {_short(str(key)): _bounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        kept = [_bounded(one) for one in value[:_CHANGES_MAX]]
        return [*kept, f"and {len(value) - len(kept)} more"] if len(value) > len(kept) else kept
    return value


def _short(text: str) -> str:
    if len(text) <= TEXT_CHARS_MAX:
        return text
    return f"{text[:TEXT_CHARS_MAX]} and {len(text) - TEXT_CHARS_MAX} characters more"
