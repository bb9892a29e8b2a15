"""One stream's request and what its client was given: all it takes to go on elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError

from router.live.delivered import Delivered, ResumeMemory
from router.live.seam import Continued, Replayed, Seam
from router.live.start import Start, identity_header, make_token
from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.resume import Mode, ResumePoint
from wire.spillway.v1.prefix import salt_of, token_blocks
from wire.spillway.v1.resume import (
    FEATURES,
    IDENTITY_KEY,
    RESUME_KEY,
    RESUME_TEXT_KEY,
    Way,
    features_of,
    is_repeatable,
)
from wire.spillway.v1.rewriting import (
    continued_request,
    has_text,
    is_whole,
    length_reached,
    overlay,
    tokens_max,
)
from wire.status import Metadata
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse

_REFUSED: Final = tuple(feature for feature in FEATURES if feature.way is Way.REFUSE)
_parsed: Final = GenerateResponse.FromString


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an answer has come."""

    prompt_ids: Sequence[int]  # empty where they are not known
    output_ids: Sequence[int]
    text_bytes: int
    tokens: int  # delivered here; more than there are ids where some were not told
    text_whole: bool  # the text ends where the tokens end
    finished: bool


class Transcript:
    """Keeps what is delivered, makes each attempt's request and joins its messages to the rest."""

    __slots__ = (
        "_adapter",
        "_hides_ids",
        "_hides_prompt_ids",
        "_progress",
        "_raw",
        "_seam",
        "_start",
        "_tenant",
        "_wants_prompt_ids",
        "delivered",
        "identity",
    )

    def __init__(
        self, raw: bytes, memory: ResumeMemory, start: Start | None = None, tenant: str = ""
    ) -> None:
        """`tenant` is whose the client has proved to be."""
        self._tenant = tenant
        self._raw = raw if start is None else start.raw
        self._start = start or Start(raw, (), 0, UNKNOWN)
        message = GenerateRequest.FromString(self._raw)
        self._seam: Seam | None = None
        self._progress: tuple[int, Progress] | None = None  # as of so many messages
        self.identity = self._start.identity  # of where the first token came from
        self._adapter = message.lora_name
        self.delivered = Delivered(memory)
        refused = next((feature for feature in _REFUSED if feature.used(message)), None)
        if refused is not None:
            self.delivered.lose(f"the request has {refused.name}")
        self._hides_ids = not (refused or message.response.output_token_ids)
        text = message.WhichOneof("prompt") == "text"
        self._wants_prompt_ids = text and not (refused or message.response.prompt_token_ids)
        self._hides_prompt_ids = self._wants_prompt_ids

    def remake(self, raw: bytes) -> None:
        """Nothing was given yet, and the request is this one from now on."""
        self._raw = raw
        self._start = Start(raw, (), 0, UNKNOWN)

    def begin(self, attempt_id: str, mode: Mode, model: str = "") -> tuple[bytes, Metadata]:
        """The request of the next attempt and the metadata beside it.

        `model` is what it asks for, where that is not what the client calls it.
        """
        if self.delivered.lost or mode is Mode.FRESH:
            return self._first(attempt_id, model), ()
        progress, self._progress = self.progress(), None
        count = len(progress.output_ids)
        if mode is Mode.REPLAY or not count:
            uncounted = self._start.uncounted
            self._seam = Replayed(progress.output_ids, progress.text_bytes, uncounted)
            return self._first(attempt_id, model), ()
        self._seam = Continued(count - self._start.uncounted)
        metadata: Metadata = (
            (RESUME_KEY, str(count)),
            (RESUME_TEXT_KEY, str(progress.text_bytes)),
            *self.origin(),
        )
        message = GenerateRequest.FromString(self._raw)
        message.model = model or message.model
        request = continued_request(message, attempt_id, progress.prompt_ids, progress.output_ids)
        return request, metadata

    def _first(self, attempt_id: str, model: str) -> bytes:
        """The request from its start. It asks for the token ids that nobody asked for but us."""
        hides, wants = self._hides_ids, self._wants_prompt_ids
        over = overlay(attempt_id, output_ids=hides, prompt_ids=wants, model=model)
        return self._raw + over.SerializeToString()

    @property
    def tokens_max(self) -> int:
        """How many tokens of output the request asks for at most."""
        return tokens_max(GenerateRequest.FromString(self._raw))

    @property
    def is_begun(self) -> bool:
        """Whether anything was passed on."""
        return self.delivered.messages > 0

    def comes_from(self, identity: EngineIdentity) -> None:
        """What is at the endpoint of the next attempt: its own are the tokens if nobody's were."""
        if not (self.is_begun or self._start.identity.is_known):
            self.identity = identity

    def origin(self) -> Metadata:
        """The identity of where the first token came from, as metadata; nothing if not known."""
        header = identity_header(self.identity, self._adapter)
        return ((IDENTITY_KEY, header),) if header else ()

    def pass_on(self, message: bytes) -> bytes | None:
        """What the client gets of an attempt's next message; None for nothing of it.

        Raises MismatchError where it does not belong to what the client has.
        """
        if self._seam is not None:
            joined = self._seam.join(message)
            if joined is None:
                return None
            message = joined
        self.delivered.keep(message)
        if not (self._hides_ids or self._hides_prompt_ids):
            return message
        try:
            response = _parsed(message)
        except DecodeError:
            return message
        if self._hides_ids:
            del response.outputs.token_ids[:]  # faster than by its name
        if self._hides_prompt_ids:
            self._hides_prompt_ids = False  # the first message is the only one that has them
            if response.HasField("prompt_info"):
                response.prompt_info.ClearField("token_ids")
        return response.SerializeToString()

    def progress(self) -> Progress:
        """How far it has come, read from what was delivered: once for each break."""
        messages = self.delivered.messages
        if self._progress is None or self._progress[0] != messages:
            self._progress = (messages, self._read())
        return self._progress[1]

    def _read(self) -> Progress:
        request = GenerateRequest.FromString(self._raw)
        messages = self.delivered.read()
        prompt_ids: Sequence[int] = request.token_ids.ids[-request.truncate_prompt_tokens :]
        start = self._start
        if request.WhichOneof("prompt") == "text":
            known = start.output_ids or not messages
            prompt_ids = start.prompt_ids if known else messages[0].prompt_info.token_ids
        output_ids, text_bytes, tokens, last = list(start.output_ids), start.text_bytes, 0, None
        for message in messages:
            last = message.outputs
            output_ids += last.token_ids
            text_bytes += len(last.text.encode())
            tokens += last.num_tokens or len(last.token_ids)
        return Progress(
            prompt_ids=prompt_ids,
            output_ids=output_ids,
            text_bytes=text_bytes,
            tokens=tokens,
            text_whole=not has_text(request)
            or (is_whole(last.text) if last else not start.output_ids),
            finished=last is not None and last.HasField("finish_info"),
        )

    def point(self) -> ResumePoint:
        """Where the stream would go on, for the core to decide whether and how it does."""
        delivered = self.delivered
        if delivered.messages and not delivered.lost and not delivered.read():
            delivered.lose("its endpoint sent what is no message")
        if delivered.lost:
            return ResumePoint(delivered.tokens, 0, impossible=delivered.lost)
        request = GenerateRequest.FromString(self._raw)
        progress = self.progress()
        count, prompt_ids = len(progress.output_ids), progress.prompt_ids
        if count < len(self._start.output_ids) + progress.tokens:
            return ResumePoint(progress.tokens, 0, impossible="not all of its token ids are known")
        salt = salt_of(request.kv.cache_salt, request.lora_name)
        return ResumePoint(
            tokens=count,
            prompt_tokens=len(prompt_ids),
            features=tuple(f.name for f in features_of(request) if f.way is not Way.CONTINUE),
            repeatable=is_repeatable(request),
            # At the limit nothing is left to ask for: only a replay can bring what text is held.
            prompt_known=bool(prompt_ids) and count < tokens_max(request),
            text_whole=progress.text_whole,
            adapter=request.lora_name,
            prefix=tuple(token_blocks([*prompt_ids, *progress.output_ids], salt=salt)),
        )

    def ending(self) -> bytes | None:
        """The last message, where it is all that is missing; empty where nothing is."""
        request = GenerateRequest.FromString(self._raw)
        if self.delivered.lost:
            return b"" if self.delivered.ended >= max(1, request.sampling.num_sequences) else None
        progress = self.progress()
        if progress.finished:
            return b""
        count = len(progress.output_ids)
        complete = progress.text_whole and not request.stopping.stop_strings
        if not complete or count < tokens_max(request):
            return None
        return length_reached(count - self._start.uncounted).SerializeToString()

    def token(self) -> str:
        """What the client may come back with for the rest; empty where it may not."""
        if self.delivered.lost or self._start.uncounted:
            return ""
        progress = self.progress()
        return make_token(
            GenerateRequest.FromString(self._raw),
            tuple(progress.prompt_ids),
            tuple(progress.output_ids),
            progress.text_bytes,
            self.identity,
            self._tenant,
        )

    def close(self) -> None:
        """The stream is over."""
        self.delivered.close()
