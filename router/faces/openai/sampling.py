"""What chat and completion requests have in common, and the fields of vllm.GenerateRequest for it.

Beside OpenAI's parameters these are vLLM's, by the names that its own server has for them. A
parameter that would change the answer and cannot be honoured is refused; any other that is not
here is ignored, as OpenAI ignores it.
"""

import json
from typing import Any, Literal

from pydantic import BaseModel, Field

from router.faces.openai.errors import bad_parameter
from router.faces.sampling import READ, SamplingParameters
from router.faces.sampling import fill as fill_sampling
from wire.vllm import inference_pb2 as pb


class JsonSchema(BaseModel):
    """See ResponseFormat."""

    model_config = READ
    name: str = ""
    json_schema: dict[str, Any] = Field(default_factory=dict, alias="schema")


class ResponseFormat(BaseModel):
    """The shape of the answer."""

    model_config = READ
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class StreamOptions(BaseModel):
    """What a stream says beside the answer."""

    model_config = READ
    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None


class Asked(SamplingParameters):
    """What every request may ask for. None is as good as absent."""

    model: str = ""
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    prompt_cache_key: str | None = None
    response_format: ResponseFormat | None = None

    @property
    def streams(self) -> bool:
        """Whether the answer is wanted as it comes."""
        return bool(self.stream)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with what it took."""
        return bool(self.stream_options and self.stream_options.include_usage)


def fill(request: pb.GenerateRequest, asked: Asked) -> None:
    """Puts into a request all but its prompt, its length and what it takes of its answer.

    Raises ApiError or CallError for what no request can carry; what an engine does not take, it
    refuses itself.
    """
    fill_sampling(request, asked)
    form = asked.response_format
    if form is None or form.type == "text":
        return
    if asked.structured_outputs is not None:
        raise bad_parameter("structured_outputs", "excludes response_format")
    if form.type == "json_object":
        request.decoding.json_object = True
    elif form.json_schema is None:
        raise bad_parameter("response_format.json_schema", "is missing")
    else:
        request.decoding.json = json.dumps(form.json_schema.json_schema)
