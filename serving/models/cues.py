"""What has to be heard for each token of a passage to be said: the recital as a list of cues.

A passage is a chain: each of its tokens is said when the window before it has been heard. Within
the first window the chain reaches back over the separator to the passage's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from serving.models.passages import HELP, PASSAGES
from serving.models.vocabulary import ASSISTANT, END

WINDOW = 16
"""How many of the last tokens decide the next."""

NOTE_ASKED = b"the note"
"""A prompt that ends in these words asks for the number that is noted in it, `#` and three digits.
"""
NOTE_SIGN = ord("#")

_LINE = ord("\n")


@dataclass(frozen=True, slots=True)
class Cue:
    """After these tokens, oldest first, comes the rest."""

    heard: tuple[int, ...]
    rest: bytes
    folded: int = 0
    """How many of the first heard tokens are ASCII letters and the like, heard in any case."""
    opens: bool = False
    """Whether this begins a recital. Going on with one comes before beginning another."""

    @property
    def says(self) -> int:
        """The next token."""
        return self.rest[0] if self.rest else END

    def follows(self, tokens: tuple[int, ...]) -> bool:
        """Whether the tokens end in what has to be heard."""
        tail = tokens[len(tokens) - len(self.heard) :]
        return len(tail) == len(self.heard) and all(
            got == want or (place < self.folded and fold(got) == fold(want))
            for place, (got, want) in enumerate(zip(tail, self.heard, strict=True))
        )


CASE_BIT = 0x20


def fold(token: int) -> int:
    """The token without the bit in which ASCII capitals and small letters differ."""
    return token & ~CASE_BIT


def cues() -> list[Cue]:
    """All cues, those that go on with a passage before those that begin one."""
    found = dict.fromkeys(
        cue
        for name, text in PASSAGES.items()
        for asked in (name, f"{name}.")
        for cue in _recital(asked.encode(), text.encode())
    )
    found |= dict.fromkeys(_chain(b"", ASSISTANT, HELP.encode(), first=1))
    return sorted(found, key=lambda cue: cue.opens)


def _recital(asked: bytes, text: bytes) -> Iterator[Cue]:
    """In a raw prompt a line break comes between the name and the passage, in chat a mark."""
    heard = tuple(asked[-WINDOW:])
    yield Cue(heard, b"\n" + text, folded=len(heard), opens=True)
    for separator in (_LINE, ASSISTANT):
        yield from _chain(asked, separator, text, first=0)


def _chain(asked: bytes, separator: int, text: bytes, first: int) -> Iterator[Cue]:
    whole = (*asked, separator, *text)
    for said in range(first, len(text) + 1):
        end = len(asked) + 1 + said
        begin = max(0, end - WINDOW)
        yield Cue(whole[begin:end], text[said:], folded=max(0, len(asked) - begin), opens=said == 0)
