"""A chat completion request, and the prompt that its model's template makes of it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from router.faces.openai.errors import ApiError, bad_parameter
from router.faces.openai.sampling import Asked
from router.faces.sampling import ITEMS_MAX, refuse_set
from router.prompt.chat_template import ChatTemplate, ChatTemplateError
from router.prompt.rendering import Render

MESSAGES_MAX: Final = 16_384
TOP_LOGPROBS_MAX: Final = 20
"""OpenAI's bound, and vLLM's by default."""

_UNSUPPORTED: Final = "is not supported"
REFUSED: Final = {
    "functions": "is not supported; give tools",
    "function_call": "is not supported; give tool_choice",
    "audio": _UNSUPPORTED,
    "web_search_options": _UNSUPPORTED,
}


_TAKEN: Final = frozenset({"messages", "tools", "self"})
"""Of a template's variables, those that no client sets beside the request."""


class Message(BaseModel):
    """One message. What else it has is the template's to read."""

    model_config = Asked.model_config | {"extra": "allow"}
    role: str = Field(max_length=64)
    content: str | list[dict[str, Any]] | None = None


class Function(BaseModel):
    """What a tool is called and takes."""

    model_config = Asked.model_config | {"extra": "allow"}
    name: str = Field(min_length=1, max_length=256)
    parameters: dict[str, Any] | None = None


class Tool(BaseModel):
    """A function that the model may call."""

    model_config = Asked.model_config | {"extra": "allow"}
    type: Literal["function"]
    function: Function


class ChosenFunction(BaseModel):
    """See ChosenTool."""

    model_config = Asked.model_config
    name: str


class ChosenTool(BaseModel):
    """The function that the model has to call."""

    model_config = Asked.model_config
    type: Literal["function"]
    function: ChosenFunction


class ChatRequest(Asked):
    """The body of POST /v1/chat/completions."""

    messages: list[Message] = Field(min_length=1, max_length=MESSAGES_MAX)
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = Field(default=None, ge=0, le=TOP_LOGPROBS_MAX)
    tools: list[Tool] | None = Field(default=None, max_length=ITEMS_MAX)
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[str] | None = None
    reasoning_effort: str | None = None
    # vLLM's
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    # Refused where they are set: see REFUSED.
    functions: Any = None
    function_call: Any = None
    audio: Any = None
    web_search_options: Any = None

    @property
    def tokens_max(self) -> int | None:
        """How many tokens are asked for at most."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def usable_tools(self) -> list[Tool]:
        """The tools that the model may call in this answer."""
        return [] if self.tool_choice == "none" else self.tools or []

    @property
    def forced_tools(self) -> list[Tool]:
        """The tools of which the model has to call one; none where it need not."""
        if isinstance(self.tool_choice, ChosenTool):
            name = self.tool_choice.function.name
            forced = [tool for tool in self.tools or () if tool.function.name == name]
            if not forced:
                raise bad_parameter("tool_choice", f"there is no tool {name!r}")
            return forced
        if self.tool_choice == "required":
            if not self.tools:
                raise bad_parameter("tool_choice", "is required, and there are no tools")
            return self.tools
        return []

    def refuse_unsupported(self) -> None:
        """Raises ApiError for what cannot be honoured."""
        refuse_set(self, REFUSED)
        if self.modalities and self.modalities != ["text"]:
            raise bad_parameter("modalities", 'must be ["text"]')
        if self.top_logprobs and not self.logprobs:
            raise bad_parameter("top_logprobs", "needs logprobs to be true")
        if self.forced_tools and (self.response_format or self.structured_outputs):
            raise bad_parameter("tool_choice", "a forced call excludes any other shape")

    async def prompt(self, template: ChatTemplate | None, render: Render) -> str:
        """The prompt's text; ApiError where the template is missing or refuses the messages."""
        if template is None:
            raise ApiError(
                400, "messages: the model has no chat template; /v1/completions takes its prompts"
            )
        messages = [_plain(message, place) for place, message in enumerate(self.messages)]
        if "developer" not in template.source:
            for message in messages:
                if message["role"] == "developer":
                    message["role"] = "system"
        further = dict(self.chat_template_kwargs or {})
        taken = sorted(_TAKEN & further.keys())
        if taken:
            raise bad_parameter("chat_template_kwargs", f"must not have {', '.join(taken)}")
        if self.reasoning_effort is not None:
            further["reasoning_effort"] = self.reasoning_effort
        continues = bool(self.continue_final_message)
        starts = not continues if self.add_generation_prompt is None else self.add_generation_prompt
        if continues and starts:
            raise bad_parameter("continue_final_message", "excludes add_generation_prompt")
        tools = [tool.model_dump(exclude_unset=True) for tool in self.usable_tools]
        variables = {**further, "tools": tools, "add_generation_prompt": starts}
        try:
            text = await render(template, messages, variables)
        except ChatTemplateError as error:
            raise bad_parameter("messages", str(error)) from error
        return _cut_open(text, messages) if continues else text


def _cut_open(text: str, messages: Sequence[Mapping[str, Any]]) -> str:
    """The prompt up to where the last message's content ends, so that the answer goes on there."""
    last = messages[-1].get("content")
    content = last.rstrip() if isinstance(last, str) else ""
    place = text.rfind(content) if content else -1
    if place < 0:
        raise bad_parameter("continue_final_message", "the template does not show the last message")
    return text[: place + len(content)]


def _plain(message: Message, place: int) -> dict[str, Any]:
    """A message as templates expect it: its content is text, its calls' arguments are values."""
    plain: dict[str, Any] = message.model_dump(exclude_unset=True)
    if isinstance(message.content, list):
        texts = [_text(part, f"messages.{place}.content") for part in message.content]
        plain["content"] = "\n".join(texts)
    else:
        plain.setdefault("content", None if plain.get("tool_calls") else "")
    calls = plain.get("tool_calls")
    if isinstance(calls, list):
        plain["tool_calls"] = [_with_values(call) for call in calls]
    return plain


def _text(part: Mapping[str, Any], param: str) -> str:
    kind, text = part.get("type"), part.get("text")
    if kind in {"text", "refusal"}:
        text = text if kind == "text" else part.get("refusal")
        if isinstance(text, str):
            return text
        raise bad_parameter(param, f"a part of type {kind} must have its text")
    raise bad_parameter(param, f"a part of type {kind!r} is not supported: prompts are text")


def _with_values(call: Any) -> Any:
    """A call of a tool, its arguments no longer written as JSON where they are."""
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        return call
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        return call
    try:
        values = json.loads(arguments) if arguments else {}
    except ValueError:
        return call
    return {**call, "function": {**function, "arguments": values}}
