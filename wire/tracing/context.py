"""W3C trace context, as it travels in metadata: which trace a call belongs to, and below what.

Whatever is no trace context is taken for none: a caller's mistake in it is no reason to refuse its
request, and no reason to spread it.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from wire.status import Metadata

TRACEPARENT_KEY: Final = "traceparent"
TRACESTATE_KEY: Final = "tracestate"

STATE_CHARS_MAX: Final = 512
"""What the specification wants to be passed on at least; a longer state is left out."""

_SAMPLED: Final = 0x01
_PARENT: Final = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_KEY: Final = r"(?:[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}|[a-z][a-z0-9_\-*/]{0,255})"
_MEMBER: Final = re.compile(
    rf"{_KEY}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MEMBERS_MAX: Final = 32


class TraceContext(NamedTuple):
    """A span of somebody's, by its place in its trace."""

    trace_id: int  # 128 bits, not 0
    span_id: int  # 64 bits, not 0
    flags: int = 0  # 8 bits
    state: str = ""  # of those that have traced it so far, for them to read

    @property
    def sampled(self) -> bool:
        """Whether its spans are reported."""
        return bool(self.flags & _SAMPLED)

    @property
    def trace_hex(self) -> str:
        """The trace's id as it is written."""
        return f"{self.trace_id:032x}"

    @property
    def metadata(self) -> Metadata:
        """What goes with a call whose spans are below this one."""
        parent = f"00-{self.trace_id:032x}-{self.span_id:016x}-{self.flags:02x}"
        state: Metadata = ((TRACESTATE_KEY, self.state),) if self.state else ()
        return ((TRACEPARENT_KEY, parent), *state)


def trace_id_of(context: TraceContext | None) -> str | None:
    """The trace that others may look at; None where nobody reports it."""
    return context.trace_hex if context is not None and context.sampled else None


def read_trace_context(metadata: Iterable[tuple[str, str | bytes]]) -> TraceContext | None:
    """The context that a call came with; None where it came with none that is one."""
    parents: list[str | bytes] = []
    states: list[str | bytes] = []
    for key, value in metadata:
        if key == TRACEPARENT_KEY:
            parents.append(value)
        elif key == TRACESTATE_KEY:
            states.append(value)
    if len(parents) != 1 or not isinstance(parents[0], str):  # of two, neither is to be believed
        return None
    found = _PARENT.fullmatch(parents[0].strip(" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    context = TraceContext(int(trace_id, 16), int(span_id, 16), int(flags, 16), _state(states))
    return context if context.trace_id and context.span_id else None


def _state(values: list[str | bytes]) -> str:
    """The state's members, in order; none where one of them is none, or where they are too long."""
    if not values or not all(isinstance(value, str) for value in values):
        return ""
    joined = ",".join(str(value) for value in values)
    if len(joined) > 4 * STATE_CHARS_MAX:
        return ""
    members = [member for part in joined.split(",") if (member := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    state = ",".join(members)
    fits = (
        len(members) <= _MEMBERS_MAX and len(keys) == len(members) and len(state) <= STATE_CHARS_MAX
    )
    return state if fits and all(_MEMBER.fullmatch(member) for member in members) else ""
