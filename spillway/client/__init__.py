"""The client of a Spillway service: asynchronous, and its synchronous twin for scripts."""

from router.prompt.chat_template import ChatTemplate, ChatTemplateError
from spillway.client.chunk import Answer, Candidate, Chunk, Finish, FinishReason, Prompt, Sequence
from spillway.client.client import Client
from spillway.client.ending import Ending
from spillway.client.errors import (
    AbortedError,
    BadRequestError,
    CancelledError,
    DeadlineError,
    DuplicateRequestError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ServerError,
    SpillwayError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
    Violation,
)
from spillway.client.options import OptionError, Options
from spillway.client.stream import Stream
from spillway.client.sync import SyncClient
from spillway.client.sync_stream import SyncStream
from spillway.client.tls import ClientTls

__all__ = [
    "AbortedError",
    "Answer",
    "BadRequestError",
    "CancelledError",
    "Candidate",
    "ChatTemplate",
    "ChatTemplateError",
    "Chunk",
    "Client",
    "ClientTls",
    "DeadlineError",
    "DuplicateRequestError",
    "Ending",
    "Finish",
    "FinishReason",
    "NotFoundError",
    "OptionError",
    "Options",
    "OverloadedError",
    "PermissionDeniedError",
    "Prompt",
    "Sequence",
    "ServerError",
    "SpillwayError",
    "Stream",
    "SyncClient",
    "SyncStream",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "Violation",
]
