"""The answer to a chat, as it comes and as a whole."""

import json
import time
from collections.abc import Callable
from typing import Any

from router.faces.finish import reason_of
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.event_stream import Envelope, dumped
from router.faces.openai.finish import Usage, stop_of
from router.faces.openai.logprobs import TokenTexts, chat_entries
from router.faces.openai.tool_calls import Call, Reader, Said
from wire.vllm import inference_pb2 as pb


class Choice:
    """One sequence of the answer while it comes."""

    def __init__(self, reader: Reader, logprobs: Callable[[pb.SequenceOutput], Any] | None) -> None:
        self._reader = reader
        self._logprobs = logprobs
        self.begun = False
        self.finish: str | None = None
        self.stop: str | int | None = None

    def take(self, output: pb.SequenceOutput) -> tuple[Said, list[Any]]:
        """What a message says, and the log-probabilities of its tokens."""
        said = self._reader.read(output.text)
        if output.HasField("finish_info"):
            rest = self._reader.end()
            said = Said(said.content + rest.content, [*said.calls, *rest.calls])
            self.finish, self.stop = reason_of(output.finish_info), stop_of(output.finish_info)
            if self.finish == "stop" and self._reader.has_called:
                self.finish = "tool_calls"
        return said, self._logprobs(output) if self._logprobs is not None else []


class Choices:
    """The sequences of an answer, by their numbers."""

    def __init__(self, asked: ChatRequest, reader: Callable[[], Reader], texts: TokenTexts) -> None:
        self._reader = reader
        self._logprobs: Callable[[pb.SequenceOutput], Any] | None = None
        if asked.logprobs:
            top = asked.top_logprobs or 0
            self._logprobs = lambda output: chat_entries(output, texts, top)
        self._by_index: dict[int, Choice] = {}

    @property
    def in_order(self) -> list[tuple[int, Choice]]:
        """All of them."""
        return sorted(self._by_index.items())

    def at(self, index: int) -> Choice:
        """The one with this number."""
        choice = self._by_index.get(index)
        if choice is None:
            choice = self._by_index[index] = Choice(self._reader(), self._logprobs)
        return choice


class ChatStream:
    """The chunks of an answer."""

    def __init__(self, choices: Choices, envelope: Envelope, *, with_logprobs: bool) -> None:
        self._choices = choices
        self._envelope = envelope
        self._with_logprobs = with_logprobs
        self.usage = Usage()

    def chunks(self, response: pb.GenerateResponse) -> bytes:
        """The events for a message; empty where it says nothing yet."""
        output = response.outputs
        self.usage.add(response)
        choice = self._choices.at(output.index)
        events = b""
        if not choice.begun:
            choice.begun = True
            events += self._event(output.index, '{"role":"assistant","content":""}')
        said, logprobs = choice.take(output)
        if said.content or logprobs:
            delta = f'{{"content":{json.dumps(said.content, ensure_ascii=False)}}}'
            events += self._event(output.index, delta, logprobs)
        for call in said.calls:
            events += self._event(output.index, dumped({"tool_calls": [call]}))
        if choice.finish is not None:
            ending = f'"{choice.finish}","stop_reason":{dumped(choice.stop)}'
            events += self._event(output.index, "{}", finish=ending)
        return events

    def last(self) -> bytes:
        """What follows when the answer is complete."""
        return self._envelope.last(self.usage)

    def _event(
        self, index: int, delta: str, logprobs: list[Any] | None = None, finish: str = "null"
    ) -> bytes:
        scored = dumped({"content": logprobs}) if self._with_logprobs and logprobs else "null"
        choice = f'{{"index":{index},"delta":{delta},"logprobs":{scored},"finish_reason":{finish}}}'
        return self._envelope.around(choice, self.usage)


class WholeChat:
    """An answer that is given when it is complete."""

    def __init__(self, choices: Choices, *, with_logprobs: bool) -> None:
        self._choices = choices
        self._with_logprobs = with_logprobs
        self._content: dict[int, list[str]] = {}
        self._calls: dict[int, list[Call]] = {}
        self._logprobs: dict[int, list[Any]] = {}
        self.usage = Usage()

    def add(self, response: pb.GenerateResponse) -> None:
        """Takes a message."""
        output = response.outputs
        self.usage.add(response)
        said, logprobs = self._choices.at(output.index).take(output)
        self._content.setdefault(output.index, []).append(said.content)
        self._logprobs.setdefault(output.index, []).extend(logprobs)
        calls = self._calls.setdefault(output.index, [])
        for call in said.calls:
            if "id" in call:
                calls.append(call)
            else:  # more of the last one's arguments
                calls[-1]["function"]["arguments"] += call["function"]["arguments"]

    def as_json(self, answer_id: str, model: str) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "id": answer_id,
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [self._choice(index, choice) for index, choice in self._choices.in_order],
            "usage": self.usage.as_json(),
        }

    def _choice(self, index: int, choice: Choice) -> dict[str, Any]:
        calls = [
            {key: value for key, value in call.items() if key != "index"}
            for call in self._calls[index]
        ]
        content = "".join(self._content[index])
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if calls and not content else content,
            "refusal": None,
        }
        if calls:
            message["tool_calls"] = calls
        return {
            "index": index,
            "message": message,
            "logprobs": {"content": self._logprobs[index]} if self._with_logprobs else None,
            "finish_reason": choice.finish,
            "stop_reason": choice.stop,
        }
