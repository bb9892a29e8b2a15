"""Whether and how a stream that broke off may go on at another endpoint.

A stream is a sequence of tokens, and the client has the first n. Three ways lead on:

- continue: the next endpoint gets the prompt and the n tokens as its prompt, and generates from
  there. It costs one prefill. It is honest where the next endpoint runs the same model and restores
  whatever of the request depends on the n tokens having been generated and not given.
- replay: the next endpoint gets the request from the start, and what it generates is held against
  the n tokens before anything goes on to the client. It costs the n tokens again. It is honest
  always, and works only where the same request gives the same tokens.
- refuse: the client is told how many tokens it has and why the rest cannot follow.

The rule, for a stream that began at an endpoint of one identity and may go on at another:

| identities | what the request asks | way |
|---|---|---|
| same model | all of it is restored there | continue |
| same model | not all of it, and it may give the same again | replay |
| either unknown | nothing that a plain prompt loses | continue |
| either unknown | something, and it may give the same again | replay |
| other numerics, or unknown ones | the very same stream (`resume_same_numerics`) | refuse |
| otherwise | | refuse |

A request may give the same again unless it draws without a seed. Among endpoints that may go on,
one with the same numerics comes first, since only there the stream is the very same; and to
continue comes before to replay. Continuing at a different model of the same name was rejected,
although a client could hardly tell: it would be given a text that no model says.
"""

from dataclasses import dataclass
from enum import Enum

from router.policy.identity import UNKNOWN, EngineIdentity


class Mode(Enum):
    """How an attempt goes about its request."""

    FRESH = "fresh"  # nothing has been delivered
    CONTINUE = "continue"
    REPLAY = "replay"


TEXT = "text"
"""The feature of every request whose answer has text: the seam may cut a character."""


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """How far a stream has come, and what of its request matters for going on."""

    tokens: int  # of output, that the client has
    prompt_tokens: int
    features: tuple[str, ...] = ()  # what the request asks that a plain prompt would lose
    repeatable: bool = False  # the same request may give the same tokens
    prompt_known: bool = True  # as token ids; else there is nothing to continue from
    text_whole: bool = True  # the text that the client has ends where its tokens end
    adapter: str = ""
    prefix: tuple[int, ...] = ()  # hashes of prompt and delivered tokens, as in a Request
    identity: EngineIdentity = UNKNOWN  # where the tokens came from
    impossible: str = ""  # why it cannot go on anywhere
    exact: bool = False  # whether it goes on only where it is the very same stream


def mode_at(point: ResumePoint, identity: EngineIdentity) -> Mode | None:
    """How a stream may go on at an endpoint of this identity; None where it may not."""
    if point.impossible:
        return None
    origin = point.identity
    if point.exact and not origin.rounds_like(identity):
        return None
    if origin.is_known and identity.is_known:
        if not origin.is_like(identity):
            return None
        restored, known = set(identity.restores), _same_adapter(point, identity)
    else:
        restored, known = {TEXT} if point.text_whole else set(), not point.adapter
    if known and point.prompt_known and restored.issuperset(point.features):
        return Mode.CONTINUE
    return Mode.REPLAY if point.repeatable else None


def rank(point: ResumePoint, identity: EngineIdentity) -> int:
    """Where an endpoint that may go on with a stream stands among those: lower comes first."""
    exact = point.identity.rounds_like(identity)
    return 2 * (not exact) + (mode_at(point, identity) is Mode.REPLAY)


def _same_adapter(point: ResumePoint, identity: EngineIdentity) -> bool:
    if not point.adapter:
        return True
    digest = identity.adapter(point.adapter)
    return bool(digest) and digest == point.identity.adapter(point.adapter)
