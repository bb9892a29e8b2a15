"""The request that an endpoint is sent, made from the one that a client sent."""

from collections.abc import Sequence

from wire.vllm.inference_pb2 import FinishInfo, GenerateRequest, GenerateResponse

NEW_TOKENS_DEFAULT = 20
"""What a request without max_new_tokens asks for, by the contract."""


def first_request(message: GenerateRequest, attempt_id: str) -> bytes:
    """The whole request, which asks besides for the token ids that going on elsewhere takes."""
    message.request_id = attempt_id
    message.response.output_token_ids = True
    if message.WhichOneof("prompt") == "text":
        message.response.prompt_token_ids = True
    return message.SerializeToString()


def plain_request(message: GenerateRequest, attempt_id: str) -> bytes:
    """The request as it came, but for its id."""
    message.request_id = attempt_id
    return message.SerializeToString()


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


def without_ids(message: bytes, *, output: bool, prompt: bool) -> bytes:
    """A message less the token ids that its client did not ask for."""
    response = GenerateResponse.FromString(message)
    if output:
        response.outputs.ClearField("token_ids")
    if prompt and response.HasField("prompt_info"):
        response.prompt_info.ClearField("token_ids")
    return response.SerializeToString()


def length_reached(tokens: int) -> bytes:
    """The last message of an answer that has all the tokens it was allowed."""
    response = GenerateResponse()
    response.outputs.finish_info.num_output_tokens = tokens
    response.outputs.finish_info.finish_reason = FinishInfo.LENGTH
    return response.SerializeToString()
