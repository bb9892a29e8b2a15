"""The HTTP server of this API, on a router's own address for it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final
from uuid import uuid4

from aiohttp import web

from router.faces.call import Inference
from router.faces.models import find
from router.faces.openai.answered_by import AnsweredBy, ChatAnsweredBy
from router.faces.openai.answering import Answering, Ask
from router.faces.openai.chat_answer import ChatStream, WholeChat
from router.faces.openai.chat_answer import Choices as ChatChoices
from router.faces.openai.chat_request import ChatRequest
from router.faces.openai.completion_answer import Choices, CompletionStream, WholeCompletion
from router.faces.openai.completion_request import CompletionRequest
from router.faces.openai.errors import ApiError, of_call
from router.faces.openai.event_stream import Envelope, dumped
from router.faces.openai.generation import chat_generation, completion_generations, echoes
from router.faces.openai.intake import Intake
from router.faces.openai.logprobs import TokenTexts
from router.faces.openai.models import listed
from router.faces.openai.tool_calls import reader_for
from router.faces.passing import passed_on
from router.live.callers import AUTHORIZATION, Callers
from router.live.hosts import host_check
from router.live.http_listening import listen_at
from router.live.http_log import http_log
from router.live.model_texts import ModelTexts
from router.live.roster import Roster
from router.live.settings import RouterSettings
from router.live.tls import ServerTls
from router.policy.fleet import Tenant
from router.prompt.rendering import Renderer
from wire.metadata import OPERATION_KEY
from wire.status import CallError
from wire.tracing.names import CHAT

_CLOSING_S: Final = 0.2
_HEALTH: Final = "/health"
_TENANT: Final = web.RequestKey("tenant", Tenant)
_NOT_THE_BODY: Final = {
    403: "this certificate is not accepted here",
    404: "there is nothing here",
    405: "this method is not allowed here",
    421: "this is no name of this router: list it under router.hosts, if it is",
}

_log: Final = http_log(__name__)


class OpenAiServer:
    """Chat completions, completions, models and health."""

    def __init__(
        self,
        inference: Inference,
        callers: Callers,
        roster: Roster,
        texts: ModelTexts,
        serves: Callable[[], bool],
        settings: RouterSettings,
        tls: ServerTls | None = None,
    ) -> None:
        """Without `tls` it speaks plaintext."""
        self._answering = Answering(inference, settings.default_deadline_s)
        self._callers = callers
        self._roster = roster
        self._texts = texts
        self._renderer = Renderer()
        self._serves = serves
        self._created = int(time.time())
        self._intake = Intake(
            settings.streams_max, settings.message_bytes_max, settings.requests_bytes_max
        )
        self._context = tls.http_context() if tls else None
        self._limits = settings.connections
        app = web.Application(
            middlewares=[
                _as_openai,
                *(tls.middlewares if tls else ()),
                *host_check(settings.openai_listen, settings, callers),
                self._admitted,
            ]
        )
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/v1/models/{model:.+}", self._model)
        app.router.add_get(_HEALTH, self._health)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=_log,
            handler_cancellation=True,  # a client that goes ends its request
            auto_decompress=False,
            keepalive_timeout=settings.connections.http_idle_timeout_s,
            shutdown_timeout=_CLOSING_S,
        )

    async def start(self, listen: str, *, shares_port: bool = False) -> int:
        """Listens on host:port and returns the port. Raises OSError where that is taken.

        `shares_port` lets other workers of this router listen there, too.
        """
        return await listen_at(
            self._runner, listen, self._limits, shares_port=shares_port, context=self._context
        )

    async def stop(self, grace_s: float) -> None:
        """Takes no new connections, and cuts off after `grace_s` what is still open."""
        for site in list(self._runner.sites):
            await site.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._intake.idle.wait()
        await self._runner.cleanup()
        await self._renderer.close()

    @web.middleware
    async def _admitted(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Nobody's body is read before it is known who sends it."""
        if request.path != _HEALTH:
            shown = request.headers.getall(AUTHORIZATION, ())
            caller = await self._callers.newcomer([(AUTHORIZATION, value) for value in shown])
            if caller.tenant:
                request[_TENANT] = self._callers.tenants[caller.tenant]
        return await handler(request)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response(status=200 if self._serves() else 503)

    async def _models(self, request: web.Request) -> web.Response:
        return _json(
            {"object": "list", "data": listed(self._roster, self._created, request.get(_TENANT))}
        )

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        for model in listed(self._roster, self._created, request.get(_TENANT)):
            if model["id"] == name:
                return _json(model)
        raise ApiError(404, f"there is no model {name!r}", "model", code="model_not_found")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        with self._intake.admitted():
            asked = await self._intake.read(request, ChatRequest)
            metadata = passed_on(request.headers)
            served = find(self._roster, asked.model, request.get(_TENANT))
            text = await self._texts.get(served.model)
            tenant = request.get(_TENANT)
            render = partial(self._renderer.render, tenant.name if tenant else "")
            generation = await chat_generation(asked, served, text, metadata, render)
            of_chat = (*metadata, (OPERATION_KEY, CHAT))
            names = TokenTexts(text.tokenizer)
            of_model = self._texts, served, text, names
            by = ChatAnsweredBy(*of_model, self._roster, asked, metadata, generation, render)
            ask = Ask(f"chatcmpl-{uuid4().hex}", [generation], of_chat, "messages", by)
            choices = ChatChoices(
                asked, lambda: reader_for(asked, by.text.template if by.text else None), names
            )
            scored = bool(asked.logprobs)
            if asked.streams:
                kind = "chat.completion.chunk"
                envelope = Envelope(asked, ask.answer_id, kind, by.shown)
                stream = ChatStream(choices, envelope, with_logprobs=scored)
                return await self._answering.stream(
                    request, ask, lambda _, message: stream.chunks(message), stream.last
                )
            whole = WholeChat(choices, with_logprobs=scored)
            headers = await self._answering.gather(ask, lambda _, message: whole.add(message))
            return _json(whole.as_json(ask.answer_id, by.shown()), headers)

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        with self._intake.admitted():
            asked = await self._intake.read(request, CompletionRequest)
            metadata = passed_on(request.headers)
            served = find(self._roster, asked.model, request.get(_TENANT))
            generations = completion_generations(asked, served, metadata)
            text = None
            if asked.logprobs is not None or asked.echo:
                text = await self._texts.get(served.model)
            names = TokenTexts(text.tokenizer if text else None)
            by = AnsweredBy(self._texts, served, text, names)
            ask = Ask(f"cmpl-{uuid4().hex}", generations, metadata, "prompt", by)
            choices = Choices(asked, echoes(asked, text), names)
            if asked.streams:
                envelope = Envelope(asked, ask.answer_id, "text_completion", by.shown)
                stream = CompletionStream(choices, envelope)
                return await self._answering.stream(request, ask, stream.chunks, stream.last)
            whole = WholeCompletion(choices)
            headers = await self._answering.gather(ask, whole.add)
            return _json(whole.as_json(ask.answer_id, by.shown()), headers)


@web.middleware
async def _as_openai(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Whatever a request fails with, its client gets OpenAI's kind of error."""
    try:
        return await handler(request)
    except ApiError as error:
        return _failed(error)
    except CallError as error:
        return _failed(of_call(error, "messages"))
    except web.HTTPException as error:
        problem = _NOT_THE_BODY.get(error.status, error.reason)
        return _failed(ApiError(error.status, f"{request.method} {request.path}: {problem}"))
    except ConnectionError:
        return web.Response(status=499)  # nobody is there to read it
    except Exception:  # noqa: BLE001 - whatever it is, its client is told, and the log why
        _log.exception("a request failed")
        return _failed(ApiError(500, "this router failed", kind="server_error"))


def _failed(error: ApiError) -> web.Response:
    return web.Response(
        status=error.status, body=error.body, headers=error.headers, content_type="application/json"
    )


def _json(value: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        body=dumped(value).encode(), headers=headers, content_type="application/json"
    )
