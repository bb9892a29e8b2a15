"""What joins the messages of an attempt to those that the client has: nothing lost, nothing twice.

An attempt's messages go through its seam one by one; what comes out goes to the client. They are
parsed only where something has to be changed in them.
"""

from collections.abc import Sequence
from typing import Protocol

from google.protobuf.message import DecodeError

from wire.vllm.inference_pb2 import GenerateResponse, SequenceOutput


class MismatchError(Exception):
    """A replayed answer is another one than the one that the client has."""


class Seam(Protocol):
    """Takes the messages of one attempt in order."""

    def join(self, message: bytes) -> bytes | None:
        """What of a message is to be kept and passed on; None for nothing of it.

        Raises MismatchError, after which the attempt can give nothing more.
        """
        ...


class Continued:
    """An attempt that goes on after so many tokens: its last message counts those, too."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens

    def join(self, message: bytes) -> bytes | None:
        """See Seam."""
        response = _parse(message)
        response.ClearField("prompt_info")
        if response.outputs.HasField("finish_info"):
            response.outputs.finish_info.num_output_tokens += self._tokens
        return response.SerializeToString()


class Replayed:
    """An attempt from the start: what the client has is compared and not passed on again."""

    def __init__(self, output_ids: Sequence[int], text_bytes: int, uncounted: int) -> None:
        """`uncounted` of the tokens the client adds to the count in the end by itself."""
        self._expected = list(output_ids)
        self._uncounted = uncounted
        self._text_left = text_bytes
        self._seen = 0
        self._text = b""  # beyond what the client has, of messages that were not passed on

    def join(self, message: bytes) -> bytes | None:
        """See Seam."""
        response = _parse(message)
        response.ClearField("prompt_info")
        outputs = response.outputs
        known = min(len(outputs.token_ids), len(self._expected) - self._seen)
        expected = self._expected[self._seen : self._seen + known]
        if list(outputs.token_ids[:known]) != expected:
            raise MismatchError("generated again, the answer is another one")
        behind = self._seen < len(self._expected)
        self._seen += known
        text = outputs.text.encode()
        cut = min(len(text), self._text_left)
        self._text_left -= cut
        self._text += text[cut:]
        ended = outputs.HasField("finish_info")
        if self._seen < len(self._expected) and ended:
            raise MismatchError("generated again, the answer is shorter")
        if behind and known == len(outputs.token_ids) and not ended:
            return None
        _drop_tokens(outputs, known)
        try:
            outputs.text = self._text.decode()
        except UnicodeDecodeError as error:
            raise MismatchError("generated again, the answer has another text") from error
        self._text = b""
        if ended:
            outputs.finish_info.num_output_tokens -= self._uncounted
        return response.SerializeToString()


def _drop_tokens(outputs: SequenceOutput, count: int) -> None:
    for values in (outputs.token_ids, outputs.logprobs, outputs.ranks, outputs.candidate_tokens):
        del values[:count]
    outputs.num_tokens -= min(count, outputs.num_tokens)


def _parse(message: bytes) -> GenerateResponse:
    try:
        return GenerateResponse.FromString(message)
    except DecodeError as error:
        raise MismatchError("the endpoint sent what is no message") from error
