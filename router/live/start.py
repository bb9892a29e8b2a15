"""An answer of which the client has the beginning already: what it says of it, read and checked.

There are two ways to say it. A router above and our SDK send what is left to do, with
`x-spillway-resume` and its companions: prompt and delivered tokens as the prompt, smaller limits.
Any other client sends the request as at first, with the token that it found in the trailer of the
answer that broke off. Either way the stream goes on as if it had begun here.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from google.protobuf.message import DecodeError

from router.policy.identity import UNKNOWN, EngineIdentity
from wire.counts import read_count
from wire.spillway.v1.load_pb2 import Identity
from wire.spillway.v1.resume import (
    IDENTITY_KEY,
    RESUME_KEY,
    RESUME_TEXT_KEY,
    RESUME_TOKEN_KEY,
)
from wire.spillway.v1.resume_pb2 import ResumeToken
from wire.spillway.v1.rewriting import has_text, tokens_max
from wire.status import bad_field
from wire.vllm.inference_pb2 import GenerateRequest

TOKEN_CHARS_MAX: Final = 6 * 1024
"""A client takes 8 KB of trailers unless it says otherwise."""

_DIGEST_CHARS_MAX: Final = 256

Named = Mapping[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Start:
    """What the client has, and the request as it was at first."""

    raw: bytes
    output_ids: tuple[int, ...]
    text_bytes: int
    identity: EngineIdentity  # of where they came from
    prompt_ids: tuple[int, ...] = ()  # where the request does not have them
    uncounted: int = 0  # of the tokens, that the client adds to the count in the end by itself


def read_start(message: GenerateRequest, named: Named, tenant: str = "") -> Start | None:
    """What the metadata of a request says that its client has; None if nothing.

    `tenant` is whose the client has proved to be.

    Raises CallError naming the key for what cannot be true of the request.
    """
    token = named.get(RESUME_TOKEN_KEY)
    if token is not None:
        return _from_token(message, token, tenant)
    if RESUME_KEY not in named:
        return None
    count, ids = read_count(RESUME_KEY, named) or 0, message.token_ids.ids
    if not 0 < count < len(ids):
        raise bad_field(RESUME_KEY, f"is {count}; the prompt has {len(ids)} token ids")
    text_bytes = read_count(RESUME_TEXT_KEY, named)
    if text_bytes is None and has_text(message):
        raise bad_field(RESUME_TEXT_KEY, f"is needed beside {RESUME_KEY}: no router reads tokens")
    output_ids = tuple(ids[-count:])
    first = GenerateRequest()
    first.CopyFrom(message)
    del first.token_ids.ids[-count:]
    first.stopping.max_new_tokens = tokens_max(message) + count
    return Start(
        first.SerializeToString(),
        output_ids,
        text_bytes or 0,
        _named_identity(named.get(IDENTITY_KEY, ""), message.lora_name),
        uncounted=count,
    )


def identity_header(identity: EngineIdentity, adapter: str) -> str:
    """An identity as IDENTITY_KEY has it; empty where it is not known."""
    if not identity.is_known:
        return ""
    digests = (identity.weights, identity.tokenizer, identity.numerics, identity.adapter(adapter))
    return ",".join(digests)


def make_token(
    request: GenerateRequest,
    prompt_ids: tuple[int, ...],
    output_ids: tuple[int, ...],
    text_bytes: int,
    identity: EngineIdentity,
    tenant: str = "",
) -> str:
    """The token for the rest of an answer; empty where it would be too long to be sent.

    It is bound by a digest to its request, and to the tenant where that is proved, and not signed:
    it tells a router nothing that a client could not ask for as well by putting the same tokens
    into its prompt.
    """
    token = ResumeToken(
        request_digest=_digest(request, tenant),
        identity=Identity(
            weights_digest=identity.weights,
            tokenizer_digest=identity.tokenizer,
            numerics_digest=identity.numerics,
            adapters=dict(identity.adapters) if request.lora_name else {},
        ),
        prompt_ids=() if request.WhichOneof("prompt") == "token_ids" else prompt_ids,
        output_ids=output_ids,
        text_bytes=text_bytes,
    )
    text = _encoded(token)
    if len(text) > TOKEN_CHARS_MAX:  # without the prompt's ids it can still be replayed
        token.ClearField("prompt_ids")
        text = _encoded(token)
    return text if len(text) <= TOKEN_CHARS_MAX else ""


def _from_token(message: GenerateRequest, text: str | bytes, tenant: str) -> Start:
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
        token = ResumeToken.FromString(raw)
    except (binascii.Error, ValueError, DecodeError) as error:
        raise bad_field(RESUME_TOKEN_KEY, "is no resume token") from error
    if token.request_digest != _digest(message, tenant):
        raise bad_field(RESUME_TOKEN_KEY, "belongs to another request")
    said, adapter = token.identity, message.lora_name
    digests = (
        said.weights_digest,
        said.tokenizer_digest,
        said.numerics_digest,
        said.adapters.get(adapter, ""),
    )
    return Start(
        message.SerializeToString(),
        tuple(token.output_ids),
        token.text_bytes,
        _identity(RESUME_TOKEN_KEY, digests, adapter),
        tuple(token.prompt_ids),
    )


def _named_identity(header: str | bytes, adapter: str) -> EngineIdentity:
    digests = header.split(",") if isinstance(header, str) else []
    return _identity(IDENTITY_KEY, digests, adapter) if len(digests) == 4 else UNKNOWN


def _identity(key: str, digests: Sequence[str], adapter: str) -> EngineIdentity:
    """Anybody may have written these digests, and they go on as metadata: no other may be."""
    for digest in digests:
        fits = len(digest) <= _DIGEST_CHARS_MAX and digest.isascii() and digest.isprintable()
        if not fits or "," in digest:
            raise bad_field(key, "names an engine by what is no digest")
    weights, tokenizer, numerics, of_adapter = digests
    adapters = ((adapter, of_adapter),) if adapter and of_adapter else ()
    return EngineIdentity(weights, tokenizer, numerics, adapters=adapters)


def _digest(request: GenerateRequest, tenant: str) -> bytes:
    """Of all that the answer depends on, and of whose it is; the id is not part of it."""
    named = GenerateRequest()
    named.CopyFrom(request)
    named.request_id = ""
    return blake2b(
        named.SerializeToString(deterministic=True), digest_size=8, key=tenant.encode()
    ).digest()


def _encoded(token: ResumeToken) -> str:
    return base64.b64encode(token.SerializeToString(), altchars=b"-_").decode()
