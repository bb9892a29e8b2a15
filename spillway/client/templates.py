"""The chat templates of the models that a client talks to."""

from collections.abc import Sequence
from typing import Final

from router.prompt.chat_template import (
    CONFIG_FILE,
    TEMPLATE_BYTES_MAX,
    ChatTemplate,
    ChatTemplateError,
)
from wire.spillway.v1 import tokenizer_pb2 as pb
from wire.spillway.v1.tokenizer_files import TEMPLATE_FILE

_KEPT_MAX: Final = 64


class Templates:
    """One that is given is for every model; else each is read once, from whoever serves it."""

    def __init__(self, given: ChatTemplate | None = None) -> None:
        self._given = given
        self._read: dict[str, ChatTemplate] = {}

    def known(self, model: str) -> ChatTemplate | None:
        """The template of a model, where it need not be read."""
        return self._given or self._read.get(model)

    def keep(self, reading: "Reading") -> ChatTemplate:
        """The template that was read. ChatTemplateError where there is none."""
        template = reading.template()
        while len(self._read) >= _KEPT_MAX:
            del self._read[next(iter(self._read))]
        self._read[reading.model] = template
        return template


class Reading:
    """Puts together the files that may hold a model's template."""

    def __init__(self, model: str) -> None:
        self.model = model
        self.request = pb.ReadTokenizerRequest(model=model, files=[CONFIG_FILE, TEMPLATE_FILE])
        self._files: dict[str, bytearray] = {}
        self._bytes = 0

    def add(self, piece: pb.TokenizerPiece) -> None:
        """Takes the next piece. ChatTemplateError where it is all too much."""
        self._bytes += len(piece.content)
        if self._bytes > 2 * TEMPLATE_BYTES_MAX:
            raise no_template(self.model)
        self._files.setdefault(piece.file, bytearray()).extend(piece.content)

    def template(self) -> ChatTemplate:
        """The template, once all has come. ChatTemplateError where there is none."""
        try:
            return ChatTemplate.of_files({n: bytes(c) for n, c in self._files.items()})
        except (ValueError, TypeError, KeyError) as error:
            raise no_template(self.model) from error


def only_of(models: Sequence[str]) -> str:
    """The model that answers where none is named. ChatTemplateError where it is not clear which."""
    if len(models) != 1:
        raise no_template(" and ".join(models) or "the model that answers")
    return models[0]


def no_template(model: str) -> ChatTemplateError:
    """Whoever serves the model does not give its template."""
    return ChatTemplateError(
        f"messages need the chat template of {model}; give chat_template, made by"
        " ChatTemplate.load from the model's folder or its tokenizer_config.json"
    )
