"""The plan of a workload: sessions of turns, with nothing in it of how they are driven."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One request of a session.

    `think_s` passes between the end of the previous turn's answer and this request; it is 0 for the
    first. `prompt_tokens` counts the whole prompt of this turn, with the conversation before it.
    `blocks` names the prompt's leading blocks of `Session.block_tokens` tokens: equal names mean
    equal content.
    """

    prompt_tokens: int
    output_tokens: int
    think_s: float = 0.0
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation: it begins at an offset in seconds and goes on turn by turn."""

    id: str
    at_s: float
    turns: tuple[Turn, ...]
    block_tokens: int = 512
    slo: str = ""
    tenant: str = ""
    phase: str = ""
