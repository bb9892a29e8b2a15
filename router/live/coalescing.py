"""Puts messages of an answer together into fewer that say the same.

What a message says is the sum of its parts: text is put one after the other, tokens and what is
said of each are listed one after the other, counts are added, and how the answer ends is told by
the last. Where that is not certain to say the same, messages stay as they are: of two sequences,
with what only one of them tells of its tokens, with fields that are not known here.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from wire.vllm.inference_pb2 import GenerateResponse, SequenceOutput

_OF_TOKENS: Final = ("token_ids", "logprobs", "ranks", "candidate_tokens")


def coalesced(messages: Iterable[bytes]) -> Iterator[bytes]:
    """The same answer in as few messages as it can be told in."""
    held: GenerateResponse | None = None
    for raw in messages:
        message = _parsed(raw)
        if message is None:
            if held is not None:
                yield held.SerializeToString()
                held = None
            yield raw
        elif held is not None and _goes_on(held.outputs, message):
            _join(held.outputs, message.outputs)
        else:
            if held is not None:
                yield held.SerializeToString()
            held = message
    if held is not None:
        yield held.SerializeToString()


def _parsed(raw: bytes) -> GenerateResponse | None:
    """A message all of whose fields are known; None for any other."""
    try:
        message = GenerateResponse.FromString(raw)
    except DecodeError:
        return None
    known = not (_has_unknown(message) or _has_unknown(message.outputs))
    return message if known else None


def _has_unknown(message: Message) -> bool:
    return len(UnknownFieldSet(message)) > 0


def _goes_on(held: SequenceOutput, message: GenerateResponse) -> bool:
    """Whether a message can be told in one with what is held."""
    more = message.outputs
    return (
        held.index == more.index
        and not message.HasField("prompt_info")
        and not held.HasField("finish_info")
        and (_tells(held) == _tells(more) or not _has_tokens(held) or not _has_tokens(more))
    )


def _tells(output: SequenceOutput) -> tuple[bool, ...]:
    """What an output tells of its tokens: their number and each thing there may be for each."""
    of_tokens = (getattr(output, name) for name in _OF_TOKENS)
    return (output.num_tokens > 0, *(len(values) > 0 for values in of_tokens))


def _has_tokens(output: SequenceOutput) -> bool:
    return any(_tells(output))


def _join(held: SequenceOutput, more: SequenceOutput) -> None:
    held.text += more.text
    held.num_tokens += more.num_tokens
    for name in _OF_TOKENS:
        getattr(held, name).extend(getattr(more, name))
    if more.HasField("finish_info"):
        held.finish_info.CopyFrom(more.finish_info)
