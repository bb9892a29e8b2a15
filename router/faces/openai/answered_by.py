"""The model that answers a request of this API, and the prompt as that model wants it.

The router decides which model answers after the prompt is made: the asked model's name may be
another version's, or another model stands in. So a chat is made anew for that one.
"""

from dataclasses import replace

import grpc

from router.faces.models import Served, contexts_of
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.errors import ApiError
from router.faces.openai.generation import chat_generation
from router.faces.openai.logprobs import TokenTexts
from router.live.model_texts import ModelText, ModelTexts
from router.live.roster import Roster
from router.prompt.rendering import Render
from wire.spillway.v1.tokenizer_bound import says_tokens
from wire.spillway.v1.trailers import MODEL_KEY
from wire.status import Metadata, failure
from wire.vllm import inference_pb2 as pb


class AnsweredBy:
    """Which model it is. As long as nobody says another, it is the one that was asked."""

    remakes = False  # whether its token ids are made anew for whoever answers

    def __init__(
        self, texts: ModelTexts, served: Served, text: ModelText | None, names: TokenTexts
    ) -> None:
        """`text` is the asked model's, where it is needed; `names` are to be its tokens' names."""
        self._texts = texts
        self._served = served
        self.text = text
        self._names = names
        self.model = ""  # where it is not what was asked for

    def shown(self) -> str:
        """What its answer calls it."""
        return self.model or self._served.shown

    @property
    def headers(self) -> dict[str, str]:
        """Of its answer."""
        return {MODEL_KEY: self.model} if self.model else {}

    async def made_for(self, model: str) -> pb.GenerateRequest | None:
        """This model answers, or the asked one where it is empty; the request as it wants it."""
        before, self.model = self.model, model
        is_as_asked = not (model or before or self._texts.has_versions(self._served.model))
        if self.text is None or is_as_asked:
            return None
        text = await self._texts.get(model or self._served.model)
        if text is self.text:
            return None
        self.text, self._names.tokenizer = text, text.tokenizer
        return await self._made()

    async def _made(self) -> pb.GenerateRequest | None:
        """The request anew; None where it is the same for every model."""
        return None


class ChatAnsweredBy(AnsweredBy):
    """The same for a chat, whose prompt is made by the template of the model that answers."""

    def __init__(
        self,
        texts: ModelTexts,
        served: Served,
        text: ModelText,
        names: TokenTexts,
        roster: Roster,
        asked: ChatRequest,
        metadata: Metadata,
        generation: pb.GenerateRequest,
        render: Render,
    ) -> None:
        """`generation` is the request as it is made for the asked model."""
        super().__init__(texts, served, text, names)
        self._roster = roster
        self._asked = asked
        self._metadata = metadata
        self._generation = generation
        self._render = render
        said = pb.GenerateRequest(
            decoding=generation.decoding,
            stopping=generation.stopping,
            response=generation.response,
        )
        self.remakes = not says_tokens(said)

    async def _made(self) -> pb.GenerateRequest | None:
        served = self._served
        if self.model:
            endpoints = self._roster.serving(self.model)
            served = replace(served, model=self.model, contexts=contexts_of(endpoints))
        try:
            text = self.text or ModelText()
            made = await chat_generation(self._asked, served, text, self._metadata, self._render)
        except ApiError as error:
            raise failure(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        made.request_id = self._generation.request_id
        return made
