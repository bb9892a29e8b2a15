"""What becomes of each feature of a request when its stream goes on elsewhere.

The next endpoint gets the prompt and the delivered tokens as its prompt (see docs/streams.md). Much
survives that by itself. Some needs an endpoint that restores it: it says which in its Identity, by
the names here. Where none does, the stream is generated from the start and compared with what was
delivered, if it can be the same twice. What cannot be continued honestly at all is refused.

This table is the one place that says so: routers read it, the documentation is generated from it,
and the tests enumerate it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from wire.vllm.inference_pb2 import GenerateRequest

RESUME_KEY = "x-spillway-resume"
"""Metadata of a request: how many of its last prompt tokens are output that the client has."""

RESUME_TEXT_KEY = "x-spillway-resume-text"
"""Metadata beside it: how many bytes of UTF-8 of their text the client has. An engine takes its
absence for all of it; a router has to be told, unless no text is asked for."""

IDENTITY_KEY = "x-spillway-identity"
"""Initial metadata of an answer: the digests of what it comes from, in the order of Identity and
with the adapter's last. Beside RESUME_KEY in a request: of what the delivered tokens came from."""

RESUME_TOKEN_KEY = "x-spillway-resume-token"  # noqa: S105 - the name of a key
"""Trailer of an answer that broke off, and metadata of the same request sent again: what it takes
to give the rest. Without line ends, in the alphabet of URLs."""


class Way(Enum):
    """How a stream with a feature goes on."""

    CONTINUE = "continue"
    """From the delivered tokens, at any endpoint with the same weights and tokenizer."""
    RESTORE = "continue where restored"
    """From the delivered tokens where the endpoint restores the feature; else as REPLAY."""
    REPLAY = "replay"
    """From the start, compared token by token, if greedy or seeded; else as REFUSE."""
    REFUSE = "refuse"
    """Not at all: the stream ends with ABORTED and the count of delivered tokens."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Fields of GenerateRequest that go on together. used tells whether a request has them."""

    name: str
    fields: tuple[str, ...]
    way: Way
    why: str
    used: Callable[[GenerateRequest], bool]


def _always(_: GenerateRequest) -> bool:
    return True


def _wants_text(request: GenerateRequest) -> bool:
    return request.response.output_text or not request.response.HasField("output_text")


def _is_seeded(request: GenerateRequest) -> bool:
    """A seed means nothing to greedy decoding."""
    greedy = request.HasField("temperature") and request.temperature == 0
    return request.sampling.HasField("seed") and not greedy


FEATURES: tuple[Feature, ...] = (
    Feature(
        "identifiers",
        ("request_id", "model", "session_id", "priority"),
        Way.CONTINUE,
        "Sent again as they are, but for a request id of the attempt's own.",
        _always,
    ),
    Feature(
        "prompt",
        ("text", "token_ids", "truncate_prompt_tokens"),
        Way.CONTINUE,
        "The first message tells the prompt's token ids as the first endpoint read and cut them.",
        _always,
    ),
    Feature(
        "sampling",
        ("temperature", "sampling.top_k", "sampling.top_p", "sampling.min_p"),
        Way.CONTINUE,
        "Each token is drawn given those before it: a continuation is as valid as any.",
        _always,
    ),
    Feature(
        "seed",
        ("sampling.seed",),
        Way.RESTORE,
        "The draws that the delivered tokens took have to be skipped.",
        _is_seeded,
    ),
    Feature(
        "several_sequences",
        ("sampling.num_sequences",),
        Way.REFUSE,
        "Sequences of one prompt come interleaved, and each is cut at a place of its own.",
        lambda request: request.sampling.num_sequences > 1,
    ),
    Feature(
        "penalties",
        ("decoding.presence_penalty", "decoding.frequency_penalty"),
        Way.RESTORE,
        "They count output tokens alone; in a plain prompt the delivered ones are none.",
        lambda request: bool(
            request.decoding.presence_penalty or request.decoding.frequency_penalty
        ),
    ),
    Feature(
        "repetition_penalty",
        ("decoding.repetition_penalty",),
        Way.CONTINUE,
        "It looks at prompt and output alike.",
        lambda request: bool(request.decoding.repetition_penalty),
    ),
    Feature(
        "biases",
        ("decoding.logit_bias", "decoding.allowed_token_ids"),
        Way.CONTINUE,
        "They are the same at every position.",
        lambda request: bool(request.decoding.logit_bias or request.decoding.allowed_token_ids),
    ),
    Feature(
        "structured_output",
        (
            "decoding.json",
            "decoding.regex",
            "decoding.choice",
            "decoding.grammar",
            "decoding.json_object",
            "decoding.structural_tag",
        ),
        Way.RESTORE,
        "The grammar's state is what the delivered tokens have made of it.",
        lambda request: request.decoding.WhichOneof("structured_output") is not None,
    ),
    Feature(
        "limits",
        ("stopping.max_new_tokens", "stopping.min_new_tokens"),
        Way.CONTINUE,
        "The router lowers them by the delivered tokens.",
        _always,
    ),
    Feature(
        "stop_tokens",
        ("stopping.stop_token_ids", "stopping.ignore_eos"),
        Way.CONTINUE,
        "They stop a stream at the token itself.",
        _always,
    ),
    Feature(
        "stop_strings",
        ("stopping.stop_strings", "stopping.include_stop_strings"),
        Way.RESTORE,
        "One may begin in the delivered text, part of which was held back for it.",
        lambda request: bool(request.stopping.stop_strings),
    ),
    Feature(
        "text",
        ("response.output_text", "response.skip_special_tokens"),
        Way.RESTORE,
        "A character may be cut in the middle of its bytes.",
        _wants_text,
    ),
    Feature(
        "tokens",
        ("response.output_token_ids",),
        Way.CONTINUE,
        "Always asked for by the router, and left out of the answer where the client did not.",
        _always,
    ),
    Feature(
        "logprobs",
        ("response.output_logprobs", "response.output_candidates"),
        Way.CONTINUE,
        "Those of a token depend on the tokens before it, wherever they stand.",
        lambda request: (
            request.response.output_logprobs or request.response.HasField("output_candidates")
        ),
    ),
    Feature(
        "prompt_info",
        (
            "response.prompt_token_ids",
            "response.prompt_logprobs",
            "response.prompt_candidates",
        ),
        Way.CONTINUE,
        "Told in the first message, and not asked for again.",
        _always,
    ),
    Feature(
        "cache",
        ("kv.bypass_prefix_cache", "kv.cache_salt"),
        Way.CONTINUE,
        "Sent again as they are.",
        _always,
    ),
    Feature(
        "transfers",
        ("kv.kv_transfer_params", "kv.ec_transfer_params"),
        Way.REFUSE,
        "They name blocks of one engine, which are gone or given away.",
        lambda request: (
            request.kv.HasField("kv_transfer_params") or request.kv.HasField("ec_transfer_params")
        ),
    ),
    Feature(
        "media",
        ("media",),
        Way.REPLAY,
        "Token ids alone are not the prompt.",
        lambda request: bool(request.media),
    ),
    Feature(
        "adapter",
        ("lora_name",),
        Way.CONTINUE,
        "Where the endpoint's adapter of this name has the same digest; else replayed.",
        lambda request: bool(request.lora_name),
    ),
)
"""Every field of GenerateRequest stands in exactly one of them."""

RESTORABLE = tuple(feature.name for feature in FEATURES if feature.way is Way.RESTORE)
"""What an Identity's restores may name."""


def features_of(request: GenerateRequest) -> list[Feature]:
    """The features that a request uses, in the table's order."""
    return [feature for feature in FEATURES if feature.used(request)]


def is_repeatable(request: GenerateRequest) -> bool:
    """Whether the same request may give the same tokens again: unless it is drawn without a seed.

    Where no temperature is named, the model's default decides, and only a comparison can tell.
    """
    drawn = request.HasField("temperature") and request.temperature > 0
    return not drawn or request.sampling.HasField("seed")
