"""What turns messages into the prompt of a model: fetched once from an endpoint that serves it.

Kept by the model's name and the digest that endpoints state of their tokenizers. So a model is
fetched again where it is replaced by another one of the same name. Models that have one tokenizer,
or are behind one router, have each its own template, which is no part of the digest. So where the
process that gave it is gone, it is fetched again behind the next request, which is served with what
is known.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from router.live.endpoint import LiveEndpoint
from router.live.roster import Roster
from router.prompt.chat_template import ChatTemplate
from router.prompt.tokenizer import TOKENIZER_FILE, ModelTokenizer
from wire.spillway.v1 import tokenizer_pb2 as pb
from wire.spillway.v1.tokenizer_files import FILES_BYTES_MAX, tokenizer_digest
from wire.status import bad_field, unavailable

MODELS_MAX: Final = 16
"""Tokenizers that are kept: some 50 MB each, and a fleet serves a few models."""

_FETCH_TIMEOUT_S: Final = 30.0
_ENDPOINTS_ASKED_MAX: Final = 3


@dataclass(frozen=True, slots=True)
class ModelText:
    """A model's chat template and tokenizer; None for what its endpoints do not give."""

    template: ChatTemplate | None = None
    tokenizer: ModelTokenizer | None = None
    is_agreed: bool = True  # False: endpoints of this name have several tokenizers


class _FetchError(Exception):
    """An endpoint gave no files that can be used; the message says why."""


class ModelTexts:
    """The texts of the models that a roster's endpoints serve."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._known: OrderedDict[str, ModelText] = OrderedDict()
        self._key_of: OrderedDict[str, str] = OrderedDict()  # the latest of each model
        self._given_by: dict[str, str] = {}  # the process that gave each of those known
        self._fetching: dict[str, asyncio.Task[ModelText]] = {}

    async def get(self, model: str) -> ModelText:
        """The text of the model of this name; empty asks for the only one.

        Raises CallError where no endpoint serves it, or none that does can be asked.
        """
        asked, model = model, self._roster.served_as(model)
        endpoints = self._roster.serving(model)
        if not endpoints:
            known = self._known.get(self._key_of.get(model, ""))
            if known is not None:  # the core says how it stands with its endpoints
                return known
            raise _not_served(self._roster, asked)
        key = _key(endpoints[0], model)
        text = self._known.get(key)
        same = [endpoint for endpoint in endpoints if _key(endpoint, model) == key]
        if text is None:
            text = await asyncio.shield(self._fetched(key, same, model))
        else:
            self._known.move_to_end(key)
            if self._given_by[key] not in map(_process, same):
                self._fetched(key, same, model)
        self._key_of[model] = key
        self._key_of.move_to_end(model)
        while len(self._key_of) > MODELS_MAX:
            self._key_of.popitem(last=False)
        if len(set(map(_tokenizer, endpoints))) == 1:
            return text
        return ModelText(text.template, text.tokenizer, is_agreed=False)

    def has_versions(self, model: str) -> bool:
        """Whether another model's text may be meant by this name, by who is there."""
        return self._roster.names.versions_of(model) != (model,)

    def _fetched(
        self, key: str, endpoints: Sequence[LiveEndpoint], model: str
    ) -> asyncio.Task[ModelText]:
        """However many ask at the same time, it is fetched once."""
        task = self._fetching.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, endpoints, model), name=f"fetch {model}")
            self._fetching[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return task

    def _forget(self, key: str, task: asyncio.Task[ModelText]) -> None:
        del self._fetching[key]
        if not task.cancelled():
            task.exception()  # whoever waited has it

    async def _fetch(self, key: str, endpoints: Sequence[LiveEndpoint], model: str) -> ModelText:
        failure = ""
        for endpoint in endpoints[:_ENDPOINTS_ASKED_MAX]:
            process = _process(endpoint)
            try:
                files = await _read(endpoint, model)
                text = await asyncio.to_thread(_parsed, files)
            except _FetchError as error:
                failure = str(error)
                continue
            self._known[key], self._given_by[key] = text, process
            while len(self._known) > MODELS_MAX:
                del self._given_by[self._known.popitem(last=False)[0]]
            return text
        raise unavailable(f"the tokenizer of {model!r} cannot be had: {failure}")

    async def close(self) -> None:
        """Ends what is being fetched."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _not_served(roster: Roster, model: str) -> Exception:
    if roster.serves:
        missing = f"no endpoint serves the model {model!r}"
        return bad_field("model", missing, grpc.StatusCode.NOT_FOUND)
    return unavailable("no endpoint is connected")


def _key(endpoint: LiveEndpoint, model: str) -> str:
    """What the text of a model that an endpoint serves is known by."""
    identity = endpoint.follower.identity
    name = model or (identity.names[0] if identity is not None else "")
    return f"{name}\0{_tokenizer(endpoint)}"


def _tokenizer(endpoint: LiveEndpoint) -> str:
    """What the tokenizer of an endpoint is known by: its digest, or else the process behind it."""
    return endpoint.follower.engine.tokenizer or _process(endpoint)


def _process(endpoint: LiveEndpoint) -> str:
    """The process behind an endpoint, as far as its reports tell."""
    report = endpoint.follower.load.last
    return f"{endpoint.name} {report.instance_id if report is not None else ''}"


async def _read(endpoint: LiveEndpoint, model: str) -> Mapping[str, bytes]:
    """The files; none where the endpoint does not serve them. Raises _FetchError."""
    files: dict[str, bytearray] = {}
    total = 0
    with endpoint.calls:
        call = endpoint.read_tokenizer(
            pb.ReadTokenizerRequest(model=model), timeout=_FETCH_TIMEOUT_S
        )
        try:
            async for piece in call:
                total += len(piece.file) + len(piece.content)
                if total > FILES_BYTES_MAX:
                    raise _FetchError(f"{endpoint.name} sends more than {FILES_BYTES_MAX} bytes")
                files.setdefault(piece.file, bytearray()).extend(piece.content)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return {}
            raise _FetchError(f"{endpoint.name}: {error.details()}") from error
        finally:
            call.cancel()
    whole = {name: bytes(content) for name, content in files.items()}
    stated = endpoint.follower.engine.tokenizer
    if stated and tokenizer_digest(whole) != stated:
        raise _FetchError(f"{endpoint.name} sends other files than its digest is of")
    return whole


def _parsed(files: Mapping[str, bytes]) -> ModelText:
    """Raises _FetchError for files that are none of a tokenizer's."""
    try:
        template = ChatTemplate.of_files(files)
    except (ValueError, TypeError, KeyError):
        template = None
    try:
        content = files.get(TOKENIZER_FILE)
        tokenizer = ModelTokenizer(content) if content is not None else None
    except ValueError as error:
        raise _FetchError(str(error)) from error
    return ModelText(template, tokenizer)
