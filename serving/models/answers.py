"""What the built-in model answers, in pure Python: the right answer to any prompt.

A raw prompt may end in

- a number of one to four digits: it is counted on from, `417` gives ` 418 419 420`. Past 999 comes
  1000, and so on to 9999, after which the answer ends. Leading zeros stay: `007` gives ` 008 009`.
- a number, a space or line break, and a beginning of the next number (none, some or all of its
  digits): the count goes on, `417 41` gives `8 419`. So an answer cut anywhere continues as if it
  had not been cut.
- the name of a passage, in any case and perhaps with a full stop: a line break, the passage, the
  end. Again, cut anywhere it continues.
- anything else: it counts from nought, ` 0 1 2`.

- `the note`, in any case: the number that is noted anywhere before is said and counted on from. A
  note is `#` and three digits, `#417`; it may stand there often, but not beside another one.

In a conversation the last message decides in the same way, and the answer begins at once, with
neither space nor line break; a message that asks for nothing gets passages.HELP.
But for the note, nothing further back than 16 tokens matters, so any text may stand before.
"""

import codecs
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from serving.models.cues import WINDOW, Cue, cues, fold
from serving.models.passages import FERRY_NAME, HELP, PASSAGES
from serving.models.vocabulary import ASSISTANT, END, encode, encode_chat

LAST_NUMBER = 9999

_CUES = defaultdict[int, list[Cue]](list)
"""By the last token that is heard, in either case."""
for _cue in cues():
    _CUES[fold(_cue.heard[-1])].append(_cue)

TURN, MARK = "\ue000", "\ue001"
"""How the assistant's mark, and any other, are written where tokens are matched as text."""

_CUT_COUNT = re.compile(rf"(?<![0-9])([0-9]{{1,4}})[ \n{TURN}]([0-9]{{0,4}})\Z")
_NUMBER = re.compile(r"(?<![0-9])([0-9]{1,4})\Z")
_NOTE = re.compile("#([0-9]{3})")
_NOTE_ASKED = re.compile(rf"the note(?:([ \n{TURN}])([0-9]{{0,2}}))?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """The first tokens of an answer, END among them if it comes that soon."""

    token_ids: list[int]

    @property
    def text(self) -> str:
        """The text as a client sees it: a character that is cut at the end is not shown."""
        spoken = bytes(token for token in self.token_ids if token < END)
        return codecs.getincrementaldecoder("utf-8")(errors="replace").decode(spoken)

    @property
    def ended(self) -> bool:
        """Whether the model ends the answer itself."""
        return self.token_ids[-1:] == [END]


def count_prompt(start: int, before: str = "") -> str:
    """A prompt that is answered by the numbers after start (0 to 9998), whatever stands before."""
    return f"{before}Count from {start}"


def note_of(number: int) -> str:
    """What a text must hold for recall_prompt to count from this number, 0 to 999."""
    return f"#{number:03}"


def recall_prompt(before: str) -> str:
    """A prompt that is answered by the number noted in what stands before, and those after it."""
    return f"{before}Count from the note"


def recite_prompt(name: str = FERRY_NAME, before: str = "") -> str:
    """A prompt that is answered by a passage."""
    if name not in PASSAGES:
        raise KeyError(f"no passage is named {name!r}; there are {', '.join(PASSAGES)}")
    return f"{before}Recite {name}"


def answer(prompt: str, tokens_max: int) -> Answer:
    """The answer to a raw prompt under greedy decoding, at most tokens_max tokens of it."""
    return answer_to_tokens(encode(prompt), tokens_max)


def answer_chat(messages: Sequence[tuple[str, str]], tokens_max: int) -> Answer:
    """The answer to a conversation of (role, content)."""
    return answer_to_tokens(encode_chat(messages), tokens_max)


def answer_to_tokens(prompt: Sequence[int], tokens_max: int) -> Answer:
    """The answer to a prompt of token ids, which begins with BEGIN or has at least 16 tokens.

    Raises ValueError for no tokens at all, and where different notes are asked for.
    """
    if not prompt:
        raise ValueError("a prompt of no tokens has no answer")
    return Answer(list(islice(_recalled(prompt) or _spoken(tuple(prompt[-WINDOW:])), tokens_max)))


def _recalled(prompt: Sequence[int]) -> Iterator[int] | None:
    """The tokens that follow a prompt which asks for its note, if it does and has one."""
    asked = _NOTE_ASKED.search(_as_text(prompt[-WINDOW:]))
    noted = _note(prompt) if asked else ""
    if not asked or not noted:
        return None
    return chain(b"" if asked[1] else b" ", _count_on(noted, len(asked[2] or "")))


def _note(prompt: Sequence[int]) -> str:
    """The number noted in a prompt, or nothing."""
    notes = set(_NOTE.findall(_as_text(prompt)))
    if len(notes) > 1:
        raise ValueError(f"a prompt with several notes has no answer: {', '.join(sorted(notes))}")
    return notes.pop() if notes else ""


def _spoken(tokens: tuple[int, ...]) -> Iterator[int]:
    """The tokens that follow a prompt with this end, up to and with END."""
    for cue in _CUES.get(fold(tokens[-1]), ()):
        if cue.follows(tokens):
            yield from cue.rest
            yield END
            return
    tail = _as_text(tokens)
    if cut := _CUT_COUNT.search(tail):
        ahead = _successor(cut[1])
        if ahead is None and not cut[2]:
            yield END
            return
        if ahead is not None and ahead.startswith(cut[2]):
            yield from _count_on(ahead, len(cut[2]))
            return
    if number := _NUMBER.search(tail):
        yield from _count_on(number[1], len(number[1]))
    elif tail.endswith(TURN):
        yield from HELP.encode()
        yield END
    else:
        yield from b"" if tail.endswith(" ") else b" "
        yield from _count_on("0", 0)


def _as_text(tokens: Sequence[int]) -> str:
    """One character a token, bytes as themselves."""
    return "".join(
        chr(token) if token < END else TURN if token == ASSISTANT else MARK for token in tokens
    )


def _successor(digits: str) -> str | None:
    """The next number, at least as wide; None after the last."""
    return None if int(digits) == LAST_NUMBER else str(int(digits) + 1).zfill(len(digits))


def _count_on(first: str, said: int) -> Iterator[int]:
    """The rest of first, of which so many digits are said, every number after it, and END."""
    yield from first[said:].encode()
    number = _successor(first)
    while number is not None:
        yield from f" {number}".encode()
        number = _successor(number)
    yield END
