"""The session that a request belongs to."""

import json
from hashlib import blake2b

from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.sampling import Asked
from wire.metadata import session_of
from wire.status import Metadata


def session_for(asked: Asked, metadata: Metadata) -> str:
    """The session's name by its header, by who asks, or by the conversation that goes on.

    A conversation is known by all that was said up to its first answer, which clients send again
    with every turn. Its first turn has no session: where its prefix is cached, the router knows.
    """
    _, named = session_of(metadata)
    if named:
        return named
    given = asked.user or asked.prompt_cache_key
    if given:
        return given
    return _conversation(asked) if isinstance(asked, ChatRequest) else ""


def _conversation(asked: ChatRequest) -> str:
    opening = []
    for message in asked.messages:
        opening.append([message.role, message.content])
        if message.role == "assistant":
            said = json.dumps([asked.model, opening]).encode()
            return f"conversation-{blake2b(said, digest_size=8).hexdigest()}"
    return ""
