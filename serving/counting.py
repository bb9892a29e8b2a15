"""The fake engine's answers: it counts on from the number that a prompt ends in.

What it says next depends on the text before alone, wherever that text is cut. So a stream that goes
on elsewhere, with the delivered part appended to its prompt, must continue it exactly.
"""

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import islice

from serving.engine import EngineOutput, Finish, FinishReason
from serving.generation import Stopping
from serving.resume import undelivered

EOS_TOKEN_ID = 256
"""The other token ids are bytes."""

_TAIL = re.compile(rb"(?:([0-9]{1,18})( ))?([0-9]{0,18})$")

TAIL_BYTES_MAX = 40
"""How much of a prompt's end decides what is counted: two numbers and the space between."""


def count_on(text: bytes) -> Iterator[int]:
    """The bytes that follow text, without end: " 8 9 10" after "7" and "0 11" after "8 9 1"."""
    match = _TAIL.search(text[-TAIL_BYTES_MAX:])
    before, _, last = match.groups() if match else (None, None, b"")
    if before is not None and str(int(before) + 1).encode().startswith(last):
        # The last number is the one after `before`, perhaps cut in the middle.
        number = int(before) + 1
        yield from str(number).encode()[len(last) :]
    else:
        number = int(last) if last else 0
        if not last:
            yield from b"0" if text.endswith(b" ") else b" 0"
    while True:
        number += 1
        yield from b" %d" % number


class Answer:
    """What is still to be said to one prompt: byte tokens up to a limit or a stop token."""

    def __init__(
        self,
        stopping: Stopping,
        prompt: Sequence[int],
        limit: int,
        delivered: Sequence[int] = (),
        delivered_text_bytes: int | None = None,
    ) -> None:
        """Delivered is what the client has of the answer, and delivered_text_bytes of its text.

        Raises CallError where these do not fit each other.
        """
        self._bytes = count_on(_spoken([*prompt, *delivered][-TAIL_BYTES_MAX:]))
        self._left = limit
        self._stop_token_ids = frozenset(stopping.stop_token_ids)
        self._quiet = stopping.min_new_tokens
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        said = self._decoder.decode(_spoken(delivered))
        self._unsaid = ""
        if delivered_text_bytes is not None:
            self._unsaid = undelivered(said, delivered_text_bytes)
        self.finished = False

    def take(self, count: int) -> EngineOutput:
        """The next tokens, count of them or as many as are left."""
        taken: list[int] = []
        for byte in islice(self._bytes, min(count, self._left)):
            taken.append(byte)
            self._left -= 1
            self._quiet -= 1
            if byte in self._stop_token_ids and self._quiet < 0:
                return self._end(taken, Finish(FinishReason.STOP, stop_token_id=byte))
        if self._left == 0:
            return self._end(taken, Finish(FinishReason.LENGTH))
        return EngineOutput(0, self._text(taken), taken)

    def abort(self) -> EngineOutput:
        """The end that was asked for from outside."""
        return self._end([], Finish(FinishReason.ABORTED))

    def _end(self, taken: list[int], finish: Finish) -> EngineOutput:
        self.finished = True
        return EngineOutput(0, self._text(taken, final=True), taken, finish=finish)

    def _text(self, taken: Sequence[int], *, final: bool = False) -> str:
        text, self._unsaid = self._unsaid, ""
        return text + self._decoder.decode(bytes(taken), final=final)


def _spoken(tokens: Sequence[int]) -> bytes:
    return bytes(token for token in tokens if token < EOS_TOKEN_ID)
