"""How answers end, and what they took."""

from typing import Any

from wire.vllm import inference_pb2 as pb


def stop_of(info: pb.FinishInfo) -> str | int | None:
    """The stop string or token that ended a sequence, as vLLM says it; None for its own end."""
    which = info.WhichOneof("stop_reason")
    if which == "stop_string":
        return info.stop_string
    return info.stop_token_id if which == "stop_token_id" else None


class Usage:
    """The tokens of prompts and answers."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0

    def add(self, response: pb.GenerateResponse) -> None:
        """Counts a message."""
        self.completion_tokens += response.outputs.num_tokens
        if response.HasField("prompt_info"):
            self.prompt_tokens += response.prompt_info.num_prompt_tokens

    def as_json(self) -> dict[str, Any]:
        """The object that answers have."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }
