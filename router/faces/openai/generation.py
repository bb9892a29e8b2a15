"""A request of this API as one of vllm.Inference."""

import asyncio
from collections.abc import Sequence
from typing import Final

from router.faces.models import Served
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.completion_request import CompletionRequest, Prompt
from router.faces.openai.errors import bad_parameter, refused_as
from router.faces.openai.sampling import Asked, fill
from router.faces.openai.session import session_for
from router.faces.openai.tool_calls import schema_of
from router.faces.sampling import limit, put_all
from router.live.model_texts import ModelText
from router.prompt.rendering import Render
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb

_LONG_CHARS: Final = 32 * 1024
"""Texts from this length on are tokenized beside the event loop: that takes milliseconds."""


async def chat_generation(
    asked: ChatRequest, served: Served, text: ModelText, metadata: Metadata, render: Render
) -> pb.GenerateRequest:
    """For a chat: the prompt by the model's template, as token ids where its tokenizer is known.

    Raises ApiError for what cannot be asked.
    """
    with refused_as("messages"):
        asked.refuse_unsupported()
        request = _begun(asked, served, metadata)
    prompt = await asked.prompt(text.template, render)
    if text.tokenizer is not None and text.is_agreed:
        encode, is_long = text.tokenizer.encode, len(prompt) > _LONG_CHARS
        ids = await asyncio.to_thread(encode, prompt) if is_long else encode(prompt)
        request.token_ids.ids.extend(ids)
        length = len(ids)
    else:
        bos = text.template.bos_token if text.template else ""
        request.text = prompt.removeprefix(bos)
        length = len(request.text.encode()) + 1  # a token has a byte at least
    tokens_max = asked.tokens_max
    if tokens_max is None:
        tokens_max = served.room_after(length)
        if tokens_max is None:
            raise bad_parameter("max_tokens", "must be given: this model's context is not known")
    with refused_as("messages"):
        limit(request, tokens_max)
    if asked.logprobs:
        request.response.output_logprobs = request.response.output_token_ids = True
        if asked.top_logprobs:
            request.response.output_candidates.top_n = asked.top_logprobs
    schema = schema_of(asked)
    if schema:
        request.decoding.json = schema
    return request


def completion_generations(
    asked: CompletionRequest, served: Served, metadata: Metadata
) -> list[pb.GenerateRequest]:
    """For a completion: one for each of its prompts. Raises ApiError for what cannot be asked."""
    with refused_as("prompt"):
        asked.refuse_unsupported()
        return [_completion(asked, prompt, served, metadata) for prompt in asked.prompts]


def echoes(asked: CompletionRequest, text: ModelText | None) -> Sequence[str]:
    """What stands before each prompt's answer: the prompt, where that is asked for."""
    if not asked.echo:
        return [""] * len(asked.prompts)
    return [_shown(prompt, text) for prompt in asked.prompts]


def _completion(
    asked: CompletionRequest, prompt: Prompt, served: Served, metadata: Metadata
) -> pb.GenerateRequest:
    request = _begun(asked, served, metadata)
    if isinstance(prompt, str):
        request.text = prompt
    else:
        put_all(request.token_ids.ids, prompt, "prompt")
        request.token_ids.SetInParent()
    limit(request, asked.tokens_max)
    if asked.logprobs is not None:
        request.response.output_logprobs = request.response.output_token_ids = True
        if asked.logprobs:
            request.response.output_candidates.top_n = asked.logprobs
    return request


def _begun(asked: Asked, served: Served, metadata: Metadata) -> pb.GenerateRequest:
    request = pb.GenerateRequest(model=served.model, lora_name=served.adapter)
    fill(request, asked)
    session = session_for(asked, metadata)
    if session:
        request.session_id = session
    return request


def _shown(prompt: Prompt, text: ModelText | None) -> str:
    if isinstance(prompt, str):
        return prompt
    if text is None or text.tokenizer is None:
        raise bad_parameter("echo", "needs a prompt of text: this model's tokenizer is not known")
    return text.tokenizer.decode(prompt)
