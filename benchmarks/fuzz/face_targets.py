"""What clients of the other faces send, and the templates and tokenizers that sites send."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from benchmarks.fuzz.target import Target
from router.faces.kserve.request import read_asked
from router.faces.models import Served
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.completion_request import CompletionRequest
from router.faces.openai.errors import ApiError, of_validation
from router.faces.openai.generation import chat_generation, completion_generations
from router.faces.page.asking import Act, Question
from router.live.model_texts import ModelText
from router.prompt.chat_template import ChatTemplate, ChatTemplateError, Message
from router.prompt.tokenizer import ModelTokenizer
from serving.fake_engine import TOKENIZER
from wire.kserve.inference_pb2 import ModelInferRequest
from wire.malformed import Malformed, read
from wire.status import CallError

_SERVED: Final = Served("m", "", "m", (1_000,))
_TEXT: Final = ModelText(
    ChatTemplate("{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}")
)
_MESSAGES: Final[list[dict[str, object]]] = [
    {"role": "user", "content": "417"},
    {"role": "assistant", "content": [{"type": "text", "text": "4"}], "tool_calls": []},
]
_CHAT: Final = {
    "model": "m",
    "messages": _MESSAGES,
    "stream": True,
    "stop": ["a"],
    "temperature": 0.5,
    "max_tokens": 9,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"5": 1},
    "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
}
_COMPLETION: Final = {"model": "m", "prompt": ["a", "b"], "n": 2, "echo": True, "suffix": None}
_WORDS: Final = (b"null", b"true", b"[", b"]", b"{", b"}", b'"', b":", b",", b"\\ud800", b'"tools"')


async def _rendered(
    template: ChatTemplate, messages: Sequence[Message], variables: Mapping[str, Any]
) -> str:
    """A prompt, without a process for it."""
    return template.render(messages, **variables)


def a_chat(raw: bytes) -> None:
    """A body of /v1/chat/completions."""
    asked = _read(ChatRequest, raw)
    if isinstance(asked, ChatRequest):
        try:
            # Rendered here, it has nothing to wait for, and so needs no event loop.
            with contextlib.suppress(StopIteration):
                chat_generation(asked, _SERVED, _TEXT, (), _rendered).send(None)
                raise RuntimeError("a prompt that is rendered here waits for something")
        except ApiError as error:
            _is_told(error)


def a_completion(raw: bytes) -> None:
    """A body of /v1/completions."""
    asked = _read(CompletionRequest, raw)
    if isinstance(asked, CompletionRequest):
        try:
            completion_generations(asked, _SERVED, ())
        except ApiError as error:
            _is_told(error)


def a_form(raw: bytes) -> None:
    """What the fleet page sends."""
    for kind in (Question, Act):
        try:
            kind.model_validate_json(raw)
        except ValidationError as error:
            error.errors(include_url=False)


def an_inference(raw: bytes) -> None:
    """A request of KServe's protocol."""
    message = read(ModelInferRequest, raw)
    if isinstance(message, Malformed):
        return
    try:
        read_asked(message, (), None, (), 60.0)  # type: ignore[arg-type]  # nobody serves
    except CallError as error:
        if not error.message:
            raise AssertionError("refuses without a word") from error


def a_template(raw: bytes) -> None:
    """A chat template, which comes from a site, over messages of a client."""
    try:
        template = ChatTemplate.of_files({"chat_template.jinja": raw})
        template.render(_MESSAGES)
    except (ChatTemplateError, ValueError, TypeError):
        return


def tokenizer_files(raw: bytes) -> None:
    """A tokenizer's configuration, which comes from a site."""
    try:
        ChatTemplate.of_files({"tokenizer_config.json": raw})
    except (ValueError, TypeError, KeyError):
        return


def a_tokenizer(raw: bytes) -> None:
    """A tokenizer.json, which comes from a site, and what it makes of a text."""
    try:
        found = ModelTokenizer(raw)
    except ValueError:
        return
    found.token_bytes(3)


def _read(kind: type[BaseModel], raw: bytes) -> BaseModel | None:
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        _is_told(of_validation(error))
    return None


def _is_told(error: ApiError) -> None:
    if not (400 <= error.status < 500 and json.loads(error.body)["error"]["message"]):
        raise AssertionError(f"refuses with {error.status} {error.body!r}")


def _inference() -> bytes:
    request = ModelInferRequest(model_name="m", id="1", raw_input_contents=[b"\3\0\0\0417"])
    request.inputs.add(name="text_input", datatype="BYTES", shape=(1,))
    request.parameters["max_tokens"].int64_param = 3
    return request.SerializeToString()


TARGETS: Final = (
    Target("chat", a_chat, [json.dumps(_CHAT).encode()], _WORDS),
    Target("completion", a_completion, [json.dumps(_COMPLETION).encode()], _WORDS),
    Target(
        "page-form",
        a_form,
        [b'{"prompt":"7","session":"s"}', b'{"action":"drain","site":"h"}'],
        _WORDS,
    ),
    Target("kserve", an_inference, [_inference()], [b"text_input", b"stream", b"BYTES"]),
    Target(
        "template",
        a_template,
        [_TEXT.template.source.encode() if _TEXT.template else b"", b"{{ messages[0] | tojson }}"],
        [
            b"{%",
            b"%}",
            b"{{",
            b"}}",
            b"for",
            b"if",
            b"set",
            b"range(",
            b"messages",
            b"|",
            b"join",
            b"__class__",
            b"raise_exception(",
            b"generation",
            b"macro",
            b"*",
            b"**",
            b"~",
        ],
    ),
    Target(
        "tokenizer-config",
        tokenizer_files,
        [(TOKENIZER / "tokenizer_config.json").read_bytes()],
        _WORDS,
    ),
    Target("tokenizer", a_tokenizer, [(TOKENIZER / "tokenizer.json").read_bytes()[:3_000]], _WORDS),
)
