"""Messages as a prompt, by the chat template of the model that is to answer.

A router has no tokenizer, so a template is the client's to have: from a folder of the model, its
tokenizer_config.json or a .jinja file. The built-in model's is known.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

Message = Mapping[str, Any]
"""At least `role` and `content`, as chat templates expect them."""

TEMPLATE_BYTES_MAX = 16 * 1024 * 1024  # a tokenizer_config.json lists thousands of added tokens


class ChatTemplateError(ValueError):
    """There is no template for the model, or it refuses the messages."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A model's chat template: Jinja, as Hugging Face's tokenizers keep it."""

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
                jinja = path / "chat_template.jinja"
                config = json.loads(_read(path / "tokenizer_config.json"))
                return cls._of(config, _read(jinja) if jinja.exists() else None)
            content = _read(path)
            return cls._of(json.loads(content), None) if path.suffix == ".json" else cls(content)
        except (OSError, ValueError, TypeError) as error:
            raise ChatTemplateError(f"no chat template at {path}: {error}") from error

    @classmethod
    def _of(cls, config: Any, source: str | None) -> "ChatTemplate":
        """From a tokenizer's config, unless the template has a file of its own."""
        if not isinstance(config, Mapping):
            raise TypeError("the tokenizer's config is no mapping")
        source = source if source is not None else config.get("chat_template")
        if isinstance(source, list):  # several by name
            source = {one["name"]: one["template"] for one in source}.get("default")
        if not isinstance(source, str):
            raise TypeError("the tokenizer has none")
        return cls(source, _token(config.get("bos_token")), _token(config.get("eos_token")))

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt that asks for the assistant's next message.

        A leading beginning-of-sequence token is left out: tokenizers that have one put it before
        every text they are given.

        Raises:
            ChatTemplateError: the template refuses the messages, or is none.
        """
        # Not at the top: a client that sends text has no use for it.
        from jinja2 import TemplateError  # noqa: PLC0415
        from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        try:
            text = environment.from_string(self.source).render(
                messages=list(messages),
                add_generation_prompt=True,
                bos_token=self.bos_token,
                eos_token=self.eos_token,
            )
        except (TemplateError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
            raise ChatTemplateError(f"the chat template refuses the messages: {error}") from error
        return text.removeprefix(self.bos_token)


def built_in_template(model: str) -> ChatTemplate | None:
    """The template of the built-in model, where that is the one of this name."""
    # Not at the top: a client of other models needs none of it.
    from serving.models import BUILT_IN, BUILT_IN_NAME  # noqa: PLC0415

    known = {BUILT_IN_NAME, BUILT_IN.name, str(BUILT_IN)}
    return ChatTemplate.load(BUILT_IN) if model in known else None


def _read(path: Path) -> str:
    with path.open("rb") as opened:
        content = opened.read(TEMPLATE_BYTES_MAX + 1)
    if len(content) > TEMPLATE_BYTES_MAX:
        raise ValueError(f"it is larger than {TEMPLATE_BYTES_MAX // 1024**2} MiB")
    return content.decode()


def _token(value: Any) -> str:
    """A token as its text, in either form that configs have."""
    text = value.get("content") if isinstance(value, Mapping) else value
    return text if isinstance(text, str) else ""


def _to_json(value: Any, indent: int | None = None) -> str:
    # Jinja's own filter escapes for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(message: str) -> NoReturn:
    from jinja2 import TemplateError  # noqa: PLC0415

    raise TemplateError(message)
