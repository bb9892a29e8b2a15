"""Log-probabilities as OpenAI writes them, for chats and for completions."""

from collections.abc import Iterator
from typing import Any

from router.prompt.tokenizer import ModelTokenizer
from wire.vllm import inference_pb2 as pb

LOGPROB_MIN = -9999.0
"""What stands for minus infinity, which JSON has no number for."""


class TokenTexts:
    """What tokens are called; by their ids where the model's tokenizer is not known."""

    def __init__(self, tokenizer: ModelTokenizer | None) -> None:
        self.tokenizer = tokenizer

    def of(self, token_id: int) -> tuple[str, list[int] | None]:
        """The text, which may be part of a character, and its bytes."""
        if self.tokenizer is None:
            return f"token_id:{token_id}", None
        raw = self.tokenizer.token_bytes(token_id)
        return raw.decode(errors="replace"), list(raw)


def chat_entries(output: pb.SequenceOutput, texts: TokenTexts, top: int) -> list[dict[str, Any]]:
    """An entry for each token of a message, with the `top` likeliest beside it."""
    entries = []
    for token_id, logprob, candidates in _positions(output):
        entry = _entry(texts, token_id, logprob)
        entry["top_logprobs"] = [_entry(texts, one.id, one.logprob) for one in candidates[:top]]
        entries.append(entry)
    return entries


class CompletionLogprobs:
    """Those of one choice, in the older form: lists side by side, with each token's place."""

    def __init__(self, texts: TokenTexts, top: int, offset: int = 0) -> None:
        self._texts = texts
        self._top = top
        self._offset = offset  # in characters

    def of(self, output: pb.SequenceOutput) -> dict[str, Any]:
        """The lists for the tokens of a message."""
        lists: dict[str, list[Any]] = {
            "tokens": [],
            "token_logprobs": [],
            "top_logprobs": [],
            "text_offset": [],
        }
        for token_id, logprob, candidates in _positions(output):
            text, _ = self._texts.of(token_id)
            lists["tokens"].append(text)
            lists["token_logprobs"].append(max(logprob, LOGPROB_MIN))
            top = {self._texts.of(one.id)[0]: one for one in reversed(candidates[: self._top])}
            lists["top_logprobs"].append(
                {name: max(one.logprob, LOGPROB_MIN) for name, one in reversed(top.items())}
            )
            lists["text_offset"].append(self._offset)
            self._offset += len(text)
        return lists


def _positions(output: pb.SequenceOutput) -> Iterator[tuple[int, float, list[Any]]]:
    """The tokens of a message, each with its log-probability and the candidates at its place."""
    for place, token_id in enumerate(output.token_ids):
        logprob = output.logprobs[place] if place < len(output.logprobs) else 0.0
        known = place < len(output.candidate_tokens)
        yield token_id, logprob, list(output.candidate_tokens[place].tokens) if known else []


def _entry(texts: TokenTexts, token_id: int, logprob: float) -> dict[str, Any]:
    text, raw = texts.of(token_id)
    return {"token": text, "logprob": max(logprob, LOGPROB_MIN), "bytes": raw}
