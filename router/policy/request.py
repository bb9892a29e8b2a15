"""What routing needs to know of one request, read once from its bytes and metadata."""

from dataclasses import dataclass

from router.policy.hint import Hint
from router.policy.resume import ResumePoint


@dataclass(frozen=True, slots=True)
class Request:
    """One turn of a session, as the core sees it."""

    id: str
    model: str
    session: str = ""  # empty: a request that belongs to no session
    slo: str = ""  # empty: the fleet's default class
    tenant: str = ""
    priority: int = 0  # lower is served earlier
    prompt_tokens: int = 0  # counted, or estimated from the bytes of a text prompt
    max_new_tokens: int = 20
    streams: bool = True  # False: the answer comes whole, and its first token is not seen
    prefix: tuple[int, ...] = ()  # chained hashes of the prompt's full blocks, longest last
    prefix_block_tokens: int = 16  # tokens, or their estimate, that one hash stands for
    deadline_ns: int | None = None  # when the client stops waiting, on the caller's clock
    fingerprint: str = ""  # of the model's name and the prompt; empty: never suspected of anything
    resume: ResumePoint | None = None  # where it goes on; None: from the start
    direct: bool = False  # its client takes it to the endpoint by itself
    avoid: tuple[str, ...] = ()  # endpoints that have failed it before it came here
    attempts_max: int = 0  # that a router above allows; 0: as many as this one does
    hint: Hint | None = None  # where another router has placed the session
    waited_ns: int = 0  # what routers above have used of the objective for its first token
    adapter: str = ""  # of the model; empty: none
    open_streams: int = 0  # of its tenant at this router when it came; 0 where nobody counts
    says_tokens: bool = False  # it says token ids, which mean something to one tokenizer only
    no_stand_in: bool = False  # its client wants no other model, whatever its class allows
    asked: str = ""  # what the client calls the model, where `model` is what answers as it
    because: str = ""  # why a stand-in answers; empty where none does

    @property
    def session_key(self) -> str:
        """What the session is known by here: tenants that use the same name do not meet."""
        return f"{self.tenant}\0{self.session}" if self.tenant and self.session else self.session
