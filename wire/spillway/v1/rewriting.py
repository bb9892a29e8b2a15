"""The request that is sent to have a stream go on, made from the one that was asked at first.

Router and client make it alike: the one when an endpoint dies, the other when a router does.
"""

from collections.abc import Sequence

from wire.vllm.inference_pb2 import FinishInfo, GenerateRequest, GenerateResponse

NEW_TOKENS_DEFAULT = 20
"""What a request without max_new_tokens asks for, by the contract."""


def overlay(
    attempt_id: str, *, output_ids: bool, prompt_ids: bool, model: str = ""
) -> GenerateRequest:
    """What is laid over a request to ask for it from the start: an id, and the wish for token ids.

    And the model where it is to be another one than the request says.

    Merged into it, or written behind its bytes: protocol buffers read the later value of a field,
    and a message that comes twice as one. So a long prompt is not parsed to be sent.
    """
    request = GenerateRequest(request_id=attempt_id, model=model)
    if output_ids:
        request.response.output_token_ids = True
    if prompt_ids:
        request.response.prompt_token_ids = True
    return request


def continued_request(
    message: GenerateRequest,
    attempt_id: str,
    prompt_ids: Sequence[int],
    output_ids: Sequence[int],
) -> bytes:
    """A request for what follows the output that the client has."""
    message.request_id = attempt_id
    message.token_ids.ids[:] = (*prompt_ids, *output_ids)
    message.truncate_prompt_tokens = 0
    stopping, response, count = message.stopping, message.response, len(output_ids)
    stopping.max_new_tokens = tokens_max(message) - count
    stopping.min_new_tokens = max(0, stopping.min_new_tokens - count)
    response.output_token_ids = True
    response.prompt_token_ids = response.prompt_logprobs = False
    response.ClearField("prompt_candidates")
    return message.SerializeToString()


def tokens_max(message: GenerateRequest) -> int:
    """How many tokens of output a request asks for at most."""
    return message.stopping.max_new_tokens or NEW_TOKENS_DEFAULT


def hide_ids(response: GenerateResponse, *, output: bool, prompt: bool) -> None:
    """Take the token ids out of a message that nobody asked for."""
    if output:
        response.outputs.ClearField("token_ids")
    if prompt and response.HasField("prompt_info"):
        response.prompt_info.ClearField("token_ids")


def length_reached(tokens: int) -> GenerateResponse:
    """The last message of an answer that has all the tokens it was allowed."""
    response = GenerateResponse()
    response.outputs.finish_info.num_output_tokens = tokens
    response.outputs.finish_info.finish_reason = FinishInfo.LENGTH
    return response


def has_text(message: GenerateRequest) -> bool:
    """Whether a request asks for text."""
    response = message.response
    return response.output_text or not response.HasField("output_text")


def is_whole(text: str) -> bool:
    """Whether a message's text is all that its tokens say, and not part of a character less."""
    return bool(text) and not text.endswith("\ufffd")
