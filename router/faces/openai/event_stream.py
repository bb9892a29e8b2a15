"""The chunks of an answer as server-sent events."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from router.faces.openai.finish import Usage
from router.faces.openai.sampling import Asked

DONE: Final = b"data: [DONE]\n\n"


def event(value: Any) -> bytes:
    """A value as an event."""
    return f"data: {dumped(value)}\n\n".encode()


def dumped(value: Any) -> str:
    """JSON as short as it can be."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Envelope:
    """What is the same in all chunks of an answer, written once.

    Most chunks carry one token. So what goes around it is not made of objects each time.
    """

    def __init__(self, asked: Asked, answer_id: str, kind: str, model: Callable[[], str]) -> None:
        """`model` says what the answer calls its model, once there is something of it."""
        self._fields = {"id": answer_id, "object": kind, "created": int(time.time())}
        self._model = model
        self._begun = ""
        self._says_usage = asked.wants_usage
        options = asked.stream_options
        self.repeats_usage = bool(options and options.continuous_usage_stats)
        self._plain_end = ',"usage":null}\n\n' if self._says_usage else "}\n\n"

    @property
    def _head(self) -> str:
        if not self._begun:
            fields = {**self._fields, "model": self._model()}
            self._begun = f"data: {dumped(fields)[:-1]}"
        return self._begun

    def around(self, choice: str, usage: Usage | None = None) -> bytes:
        """A chunk with a choice that is JSON already; with what it took so far, where asked for."""
        end = self._plain_end
        if self.repeats_usage and usage is not None:
            end = f',"usage":{dumped(usage.as_json())}}}\n\n'
        return f'{self._head},"choices":[{choice}]{end}'.encode()

    def last(self, usage: Usage) -> bytes:
        """What follows the last choice: what the answer took, where that was asked for."""
        if not self._says_usage:
            return DONE
        return f'{self._head},"choices":[],"usage":{dumped(usage.as_json())}}}\n\n'.encode() + DONE
