"""Whether a request means something to one tokenizer only."""

from wire.vllm.inference_pb2 import CandidateTokens, GenerateRequest


def says_tokens(request: GenerateRequest) -> bool:
    """Whether it says token ids: to another tokenizer they are other tokens.

    One that only wants them is told whose they are.
    """
    if request.WhichOneof("prompt") == "token_ids":
        return True
    if request.HasField("decoding"):
        decoding = request.decoding
        if decoding.logit_bias or decoding.allowed_token_ids:
            return True
    if request.HasField("stopping") and request.stopping.stop_token_ids:
        return True
    if not request.HasField("response"):
        return False
    response = request.response
    return _says(response.prompt_candidates) or _says(response.output_candidates)


def _says(candidates: CandidateTokens) -> bool:
    return bool(candidates.WhichOneof("select") == "token_ids")
