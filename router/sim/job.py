"""One request inside a simulated engine."""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Job:
    """A request with known lengths, and what came of it. Times in picoseconds.

    `blocks` names the request's leading full blocks; equal names mean equal content. It may reach
    into the answer, for turns whose next prompt will hold it.
    """

    id: int
    prompt_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    priority: int = 0  # lower is served earlier

    cached_tokens: int = 0  # of the prompt, when it was first admitted
    first_token_ps: int = -1
    finished_ps: int = -1
    slow_gaps: int = 0  # gaps between its tokens above the engine's threshold
    preemptions: int = 0

    # The engine's own.
    sequence: int = 0  # order of submission
    computed: int = 0  # tokens whose KV is in the cache; stale while `decoding`
    made: int = 0  # output tokens produced; stale while `decoding`
    waiting: bool = False
    decoding: bool = False
    cancelled: bool = False
    held: list[int] = field(default_factory=list)  # names of the shared blocks it holds
    named: int = 0  # entries of `blocks` that were looked up or named
    step_zero: int = 0  # the engine's step counter less `made`, while `decoding`
    slow_zero: int = 0  # the engine's count of slow steps when it began to decode
    last_token_ps: int = -1

    @property
    def key(self) -> tuple[int, int]:
        """The order in which jobs are served; the last in it is preempted first."""
        return (self.priority, self.sequence)

    @property
    def tokens(self) -> int:
        """Prompt and answer so far; stale while `decoding`."""
        return self.prompt_tokens + self.made
