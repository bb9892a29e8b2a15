"""The answer to a text completion, as it comes and as a whole."""

import json
import time
from collections.abc import Sequence
from typing import Any

from router.faces.finish import reason_of
from router.faces.openai.completion_request import CompletionRequest
from router.faces.openai.event_stream import Envelope, dumped
from router.faces.openai.finish import Usage, stop_of
from router.faces.openai.logprobs import CompletionLogprobs, TokenTexts
from wire.vllm import inference_pb2 as pb


class Choice:
    """One sequence of one prompt's answer."""

    def __init__(self, echo: str, logprobs: CompletionLogprobs | None) -> None:
        self._echo = echo
        self._logprobs = logprobs
        self.finish: str | None = None
        self.stop: str | int | None = None

    def take(self, output: pb.SequenceOutput) -> tuple[str, dict[str, Any] | None]:
        """What a message says, behind the prompt if that is wanted, and its log-probabilities."""
        text, self._echo = self._echo + output.text, ""
        if output.HasField("finish_info"):
            self.finish, self.stop = reason_of(output.finish_info), stop_of(output.finish_info)
        return text, self._logprobs.of(output) if self._logprobs is not None else None


class Choices:
    """The sequences of all prompts: those of the second one are counted on after the first's."""

    def __init__(self, asked: CompletionRequest, echoes: Sequence[str], texts: TokenTexts) -> None:
        self._n = asked.n or 1
        self._echoes = echoes
        self._texts = texts
        self._top = asked.logprobs
        self._by_index: dict[int, Choice] = {}

    @property
    def in_order(self) -> list[tuple[int, Choice]]:
        """All of them."""
        return sorted(self._by_index.items())

    def at(self, prompt: int, index: int) -> tuple[int, Choice]:
        """The one with this number of this prompt's, and its number among all."""
        index += prompt * self._n
        choice = self._by_index.get(index)
        if choice is None:
            top = self._top
            scored = None if top is None else CompletionLogprobs(self._texts, top)
            choice = self._by_index[index] = Choice(self._echoes[prompt], scored)
        return index, choice


class CompletionStream:
    """The chunks of an answer."""

    def __init__(self, choices: Choices, envelope: Envelope) -> None:
        self._choices = choices
        self._envelope = envelope
        self.usage = Usage()

    def chunks(self, prompt: int, response: pb.GenerateResponse) -> bytes:
        """The event for a message of a prompt's answer; empty where it says nothing yet."""
        output = response.outputs
        self.usage.add(response)
        index, choice = self._choices.at(prompt, output.index)
        text, logprobs = choice.take(output)
        if not text and not (logprobs and logprobs["tokens"]) and choice.finish is None:
            return b""
        written = json.dumps(text, ensure_ascii=False)
        finish = "null"
        if choice.finish is not None:
            finish = f'"{choice.finish}","stop_reason":{dumped(choice.stop)}'
        scored = dumped(logprobs) if logprobs else "null"
        return self._envelope.around(
            f'{{"index":{index},"text":{written},"logprobs":{scored},"finish_reason":{finish}}}',
            self.usage,
        )

    def last(self) -> bytes:
        """What follows when the answer is complete."""
        return self._envelope.last(self.usage)


class WholeCompletion:
    """An answer that is given when it is complete."""

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._texts: dict[int, list[str]] = {}
        self._logprobs: dict[int, dict[str, list[Any]]] = {}
        self.usage = Usage()

    def add(self, prompt: int, response: pb.GenerateResponse) -> None:
        """Takes a message of a prompt's answer."""
        self.usage.add(response)
        index, choice = self._choices.at(prompt, response.outputs.index)
        text, logprobs = choice.take(response.outputs)
        self._texts.setdefault(index, []).append(text)
        if logprobs is not None:
            lists = self._logprobs.setdefault(index, {name: [] for name in logprobs})
            for name, values in logprobs.items():
                lists[name] += values

    def as_json(self, answer_id: str, model: str) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "id": answer_id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                {
                    "index": index,
                    "text": "".join(self._texts[index]),
                    "logprobs": self._logprobs.get(index),
                    "finish_reason": choice.finish,
                    "stop_reason": choice.stop,
                }
                for index, choice in self._choices.in_order
            ],
            "usage": self.usage.as_json(),
        }
