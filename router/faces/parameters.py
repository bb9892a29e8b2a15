"""What is wrong with a request, in the words of the API that it came by."""

from typing import Final

from pydantic import ValidationError

from wire.metadata import SLO_KEY, TENANT_KEY

_PARAMETER_OF: Final = {
    "num_sequences": "n",
    "max_new_tokens": "max_tokens",
    "min_new_tokens": "min_tokens",
    "stop_strings": "stop",
    "output_candidates": "top_logprobs",
    SLO_KEY: None,
    TENANT_KEY: None,
}
"""What a field of vllm.GenerateRequest is called elsewhere, by its last name."""

_GROUPS: Final = frozenset({"sampling", "decoding", "stopping", "response", "kv"})
_PROMPT: Final = frozenset({"prompt", "text", "token_ids"})
_SHAPE: Final = frozenset({"structured_output", "json", "json_object"})


def parameter_of(field: str, *, prompt: str, session: str, shape: str) -> str | None:
    """The parameter for a field of vllm.GenerateRequest; None for what came as metadata.

    `prompt`, `session` and `shape` (of the answer) are what an API calls those.
    """
    first, _, rest = field.partition(".")
    name = rest if first in _GROUPS and rest else field
    stem = name.split(".")[0]
    if stem in _PROMPT:
        return prompt
    if stem in _SHAPE:
        return shape
    return session if stem == "session_id" else _PARAMETER_OF.get(stem, name)


def problem_of(error: ValidationError) -> tuple[str, str]:
    """The first thing that is wrong with a request, and the parameter, empty for the whole."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "", f"is no JSON: {first['msg']}"
    param = ".".join(str(part) for part in first["loc"] if not _is_branch(part))
    if first["type"] == "extra_forbidden":
        return param, "is not known"
    return param, first["msg"].removeprefix("Value error, ")


def _is_branch(part: int | str) -> bool:
    """Whether a part of a path is the name of a type, which pydantic puts in for a choice."""
    return isinstance(part, str) and ("[" in part or part in {"str", "int", "float"})
