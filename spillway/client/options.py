"""What a request may ask for, by the names that the fields of vllm.GenerateRequest have."""

import json as json_text
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypedDict

from spillway.client.cookies import Cookies
from wire.metadata import SLO_KEY, STAND_IN_KEY, TENANT_KEY
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb


class OptionError(ValueError):
    """A value that no request can carry, or options that exclude each other."""


class Options(TypedDict, total=False):
    """Keyword arguments of `stream`, `generate` and `explain`.

    What is left out, the server chooses. wire/vllm/inference.proto says what each does.
    """

    model: str
    request_id: str
    session: str
    priority: int
    lora_name: str
    truncate_prompt_tokens: int
    # how long the whole answer may take, and who asks in which service class
    deadline_s: float
    slo: str
    tenant: str
    stand_in: bool  # whether another model may answer, where the class allows one
    # sampling
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    seed: int
    num_sequences: int
    # decoding
    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float
    logit_bias: Mapping[int, float]
    allowed_token_ids: Sequence[int]
    # the shape of the answer: one of these
    json: str | Mapping[str, Any]
    regex: str
    choice: Sequence[str]
    grammar: str
    json_object: bool
    structural_tag: str
    # stopping
    max_new_tokens: int
    min_new_tokens: int
    stop_token_ids: Sequence[int]
    stop_strings: Sequence[str]
    include_stop_strings: bool
    ignore_eos: bool
    # what the answer contains
    output_text: bool
    output_token_ids: bool
    output_logprobs: bool
    output_candidates: int  # so many of the likeliest tokens
    prompt_token_ids: bool
    prompt_logprobs: bool
    prompt_candidates: int
    skip_special_tokens: bool
    # cache
    bypass_prefix_cache: bool
    cache_salt: str


@dataclass(frozen=True, slots=True)
class Call:
    """A request ready to be sent."""

    request: pb.GenerateRequest
    metadata: Metadata
    deadline_s: float
    cookies: Cookies = field(default_factory=Cookies)  # its client's

    @property
    def told(self) -> Metadata:
        """The metadata, and the cookie that the session has now."""
        return (*self.metadata, *self.cookies.of(self.request.session_id))


_METADATA = {"slo": SLO_KEY, "tenant": TENANT_KEY}
_SHAPES = ("json", "regex", "choice", "grammar", "json_object", "structural_tag")
_FIELDS = {
    **dict.fromkeys(("model", "request_id", "priority", "lora_name", "temperature"), ""),
    "truncate_prompt_tokens": "",
    **dict.fromkeys(("top_k", "top_p", "min_p", "seed", "num_sequences"), "sampling"),
    **dict.fromkeys(
        ("presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias"), "decoding"
    ),
    "allowed_token_ids": "decoding",
    **dict.fromkeys(_SHAPES, "decoding"),
    **dict.fromkeys(("max_new_tokens", "min_new_tokens", "stop_token_ids"), "stopping"),
    **dict.fromkeys(("stop_strings", "include_stop_strings", "ignore_eos"), "stopping"),
    **dict.fromkeys(("output_text", "output_token_ids", "output_logprobs"), "response"),
    **dict.fromkeys(("output_candidates", "prompt_candidates"), "response"),
    **dict.fromkeys(("prompt_token_ids", "prompt_logprobs", "skip_special_tokens"), "response"),
    **dict.fromkeys(("bypass_prefix_cache", "cache_salt"), "kv"),
}
"""Where the field of an option's name is: a message within the request, or the request itself."""


def call_of(
    prompt: str | Sequence[int],
    options: Options,
    *,
    deadline_s: float,
    cookies: Cookies | None = None,
) -> Call:
    """The request for a prompt, as text or token ids, with these options.

    `deadline_s` holds where the options name none; `cookies` are the client's.

    Raises:
        TypeError: there is no such option.
        OptionError: a value is of another type or out of range, or two options exclude each other.
    """
    unknown = set(options) - set(Options.__annotations__)
    if unknown:
        name = min(unknown)
        near = get_close_matches(name, Options.__annotations__, n=1)
        raise TypeError(f"{name} is no option{f'; did you mean {near[0]}?' if near else ''}")
    shapes = [name for name in _SHAPES if name in options]
    if len(shapes) > 1:
        raise OptionError(f"{' and '.join(shapes)} exclude each other")
    request = pb.GenerateRequest(request_id=uuid.uuid4().hex)
    if isinstance(prompt, str):
        _set(request, "text", prompt)
    else:
        _set(request.token_ids, "ids", prompt)
        request.token_ids.SetInParent()
    for name, value in options.items():
        if name in _FIELDS:
            _set(getattr(request, _FIELDS[name]) if _FIELDS[name] else request, name, value)
    if options.get("session"):
        _set(request, "session_id", options["session"])
    deadline_s = options.get("deadline_s", deadline_s)
    if not 0 < deadline_s < float("inf"):
        raise OptionError(f"deadline_s: expected seconds above 0, found {deadline_s}")
    return Call(request, _metadata(options), deadline_s, Cookies() if cookies is None else cookies)


def _metadata(options: Options) -> Metadata:
    pairs = []
    for name, key in _METADATA.items():
        value = options.get(name)
        if value:
            if not (isinstance(value, str) and value.isascii() and value.isprintable()):
                raise OptionError(f"{name}: expected printable ASCII, found {value!r}")
            pairs.append((key, value))
    if "stand_in" in options:
        pairs.append((STAND_IN_KEY, "yes" if options["stand_in"] else "no"))
    return tuple(pairs)


def _set(message: Any, name: str, value: Any) -> None:
    """Set a field, so that whatever is wrong with the value is said with the field's name."""
    try:
        if name in {"output_candidates", "prompt_candidates"}:
            getattr(message, name).top_n = value
        elif name == "choice":
            message.choice.choices[:] = value
            message.choice.SetInParent()
        elif name == "json" and not isinstance(value, str):
            message.json = json_text.dumps(value)
        elif name == "logit_bias":
            message.logit_bias.update(value)
        elif name in {"ids", "stop_token_ids", "stop_strings", "allowed_token_ids"}:
            getattr(message, name)[:] = value
        else:
            setattr(message, name, value)
    except (TypeError, ValueError) as error:
        named = "token_ids" if name == "ids" else name
        raise OptionError(f"{named}: {error}") from None
