"""A text completion request."""

from typing import Any, Final

from pydantic import Field

from router.faces.openai.errors import bad_parameter
from router.faces.openai.sampling import Asked
from router.faces.sampling import TOKENS_DEFAULT, refuse_set

PROMPTS_MAX: Final = 128
"""Of one request: each is a stream of its own."""

LOGPROBS_MAX: Final = 20
REFUSED: Final = {"suffix": "is not supported"}

Prompt = str | list[int]


class CompletionRequest(Asked):
    """The body of POST /v1/completions."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: bool | None = None
    logprobs: int | None = Field(default=None, ge=0, le=LOGPROBS_MAX)
    # Refused where it is set: see REFUSED.
    suffix: Any = None

    @property
    def tokens_max(self) -> int:
        """How many tokens are asked for at most."""
        return TOKENS_DEFAULT if self.max_tokens is None else self.max_tokens

    @property
    def prompts(self) -> list[Prompt]:
        """One or several; ApiError for none or too many."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return [prompt]
        if not prompt:
            raise bad_parameter("prompt", "must not be empty")
        if isinstance(prompt[0], int):
            return [prompt]  # type: ignore[list-item,unused-ignore]
        if len(prompt) > PROMPTS_MAX:
            raise bad_parameter("prompt", f"has {len(prompt)} prompts, and may have {PROMPTS_MAX}")
        return prompt  # type: ignore[return-value]

    def refuse_unsupported(self) -> None:
        """Raises ApiError or CallError for what cannot be honoured."""
        refuse_set(self, REFUSED)
        if self.echo and self.logprobs is not None:
            raise bad_parameter("echo", "is not supported together with logprobs")
