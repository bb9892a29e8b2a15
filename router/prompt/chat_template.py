"""Messages as a prompt, by the chat template of the model that is to answer.

The template is Jinja, as Hugging Face's tokenizers keep it, and runs in Jinja's sandbox with what
templates in use expect to find there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from jinja2 import Template

from wire.spillway.v1.tokenizer_files import TEMPLATE_FILE

Message = Mapping[str, Any]
"""At least `role` and `content`, as chat templates expect them."""

CONFIG_FILE = "tokenizer_config.json"

TEMPLATE_BYTES_MAX = 16 * 1024 * 1024  # a tokenizer_config.json lists thousands of added tokens
PROMPT_CHARS_MAX = 64 * 1024 * 1024  # what a template may make of a request of 16 MiB
_COMPILED_MAX = 64  # templates: each model has one or two


class ChatTemplateError(ValueError):
    """There is no template for the model, or it refuses the messages."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's chat template."""

    source: str
    bos_token: str = ""
    eos_token: str = ""

    @classmethod
    def load(cls, path: Path) -> "ChatTemplate":
        """From a model's folder, its tokenizer_config.json or a file of Jinja.

        Raises:
            ChatTemplateError: there is none.
        """
        try:
            if path.is_dir():
                jinja = path / TEMPLATE_FILE
                files = {CONFIG_FILE: _read(path / CONFIG_FILE)}
                if jinja.exists():
                    files[TEMPLATE_FILE] = _read(jinja)
                return cls.of_files(files)
            content = _read(path)
            if path.suffix == ".json":
                return cls.of_files({CONFIG_FILE: content})
            return cls(content.decode())
        except (OSError, ValueError, TypeError) as error:
            raise ChatTemplateError(f"no chat template at {path}: {error}") from error

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> "ChatTemplate":
        """From the contents of a tokenizer's files by their names.

        Raises ValueError or TypeError where there is none.
        """
        config = json.loads(files.get(CONFIG_FILE, b"{}"))
        if not isinstance(config, Mapping):
            raise TypeError("the tokenizer's config is no mapping")
        source = config.get("chat_template")
        if TEMPLATE_FILE in files:
            source = files[TEMPLATE_FILE].decode()
        if isinstance(source, list):  # several by name
            source = {one["name"]: one["template"] for one in source}.get("default")
        if not isinstance(source, str):
            raise TypeError("the tokenizer has none")
        return cls(source, _token(config.get("bos_token")), _token(config.get("eos_token")))

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **further: Any,
    ) -> str:
        """The prompt that asks for the assistant's next message.

        It has the beginning-of-sequence token, where the template writes it. `further` are
        variables that this template knows.

        Raises:
            ChatTemplateError: the template refuses the messages, or is none.
        """
        own = {
            "messages": list(messages),
            "tools": list(tools) if tools else None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            "bos_token": self.bos_token,
            "eos_token": self.eos_token,
        }
        try:
            text = _compiled(self.source).render({**further, **own})
        except Exception as error:  # it is code of somebody's, and may raise anything
            raise ChatTemplateError(f"the chat template refuses the messages: {error}") from error
        if len(text) > PROMPT_CHARS_MAX:
            raise ChatTemplateError(f"the prompt has more than {PROMPT_CHARS_MAX} characters")
        return text

    def render_text(self, messages: Sequence[Message], **options: Any) -> str:
        """The same, to be sent as text.

        A leading beginning-of-sequence token is left out: tokenizers that have one put it before
        every text they are given.
        """
        return self.render(messages, **options).removeprefix(self.bos_token)


@lru_cache(maxsize=_COMPILED_MAX)
def _compiled(source: str) -> "Template":
    """Raises TemplateError for what is no template."""
    # Not at the top: a client that sends text has no use for it.
    from jinja2.ext import loopcontrols  # noqa: PLC0415

    from router.prompt.generation_block import GenerationBlock  # noqa: PLC0415
    from router.prompt.sandbox import Sandbox  # noqa: PLC0415

    environment = Sandbox(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, GenerationBlock]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = _now
    return environment.from_string(source)


def _read(path: Path) -> bytes:
    with path.open("rb") as opened:
        content = opened.read(TEMPLATE_BYTES_MAX + 1)
    if len(content) > TEMPLATE_BYTES_MAX:
        raise ValueError(f"it is larger than {TEMPLATE_BYTES_MAX // 1024**2} MiB")
    return content


def _token(value: Any) -> str:
    """A token as its text, in either form that configs have."""
    text = value.get("content") if isinstance(value, Mapping) else value
    return text if isinstance(text, str) else ""


def _to_json(
    value: Any,
    *,
    indent: int | None = None,
    ensure_ascii: bool = False,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own filter escapes for HTML.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


def _refuse(message: str) -> NoReturn:
    from jinja2 import TemplateError  # noqa: PLC0415

    raise TemplateError(message)
