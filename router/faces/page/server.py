"""The page on the HTTP port of a router: its files, its feed, and what it asks and does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from router.faces.page.asking import Act, Question
from router.faces.page.described import described
from router.faces.page.desk import Desk
from router.faces.page.encoding import GZIP_HEAD, Encoded
from router.faces.page.feed import Feed, TooManyViewersError
from router.faces.page.files import INDEX, Files
from router.faces.page.permission import Permission, actor_at, is_same_origin
from router.live import background
from router.live.acting import Actor
from router.live.callers import Callers
from router.policy.fleet import Fleet
from wire.status import CallError

_HEADERS: Final = {
    # Nothing but the page's own files, in no frame of anybody's, and nothing inline.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_BODY_S: Final = 10.0
"""For a question or an order to come; the longest has a megabyte."""

_WRITE_S: Final = 30.0
"""For a viewer to take a frame; one that takes nothing for so long is gone, or asleep."""

_Body = TypeVar("_Body", bound=BaseModel)


class FleetPage:
    """Made once for a router; `add_to` puts it into its HTTP server."""

    def __init__(
        self,
        router: str,
        fleet: Fleet,
        desk: Desk,
        callers: Callers,
    ) -> None:
        self._router = router
        self._described = described(router, fleet)
        self._desk = desk
        self._feed = Feed(desk, [site.name for site in fleet.sites])
        self._files = Files()
        self._permission = Permission(callers)

    def adopt(self, fleet: Fleet) -> None:
        """The fleet is another one: whoever looks is to come again, and begins with it."""
        self._described = described(self._router, fleet)
        self._feed.begin_anew([site.name for site in fleet.sites])

    def add_to(self, app: web.Application) -> None:
        """Adds what it serves, and its feed for as long as the server runs."""
        app.router.add_get("/", self._index)
        app.router.add_get("/page/stream", self._stream)
        app.router.add_post("/page/explain", self._explain)
        app.router.add_post("/page/act", self._act)
        app.router.add_get("/page/{name}", self._file)
        app.cleanup_ctx.append(self._run_feed)
        app.on_shutdown.append(self._close_feed)
        app.on_response_prepare.append(_head)

    async def _run_feed(self, _app: web.Application) -> AsyncIterator[None]:
        running = background.begin(self._feed.run(), "page feed")
        yield
        await background.end(running)

    async def _close_feed(self, _app: web.Application) -> None:
        await self._feed.close()

    async def _index(self, request: web.Request) -> web.Response:
        self._permission.viewer(request)
        return self._files.response(INDEX, request)

    async def _file(self, request: web.Request) -> web.Response:
        return self._files.response(request.match_info["name"], request)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """The fleet, its state and its past, and then a frame at a time."""
        caller = self._permission.viewer(request)
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Accel-Buffering": "no",  # nginx would gather events
                **({"Content-Encoding": "gzip"} if zipped else {}),
            }
        )
        try:
            with self._feed.viewer() as viewer:
                token = self._permission.token_for(request, caller)
                age, now = self._feed.age, await self._feed.now()
                if age != self._feed.age:
                    return response  # of another fleet than the one described: it comes again
                first = Encoded("hello", {**self._described, **now, "token": token})
                await response.prepare(request)
                await _write(response, GZIP_HEAD + first.deflated if zipped else first.plain)
                while (frame := await viewer.next()) is not None and self._may_look(request):
                    await _write(response, frame.deflated if zipped else frame.plain)
        except TooManyViewersError:
            return _failed(503, "enough pages look at this router: close one")
        except (ConnectionError, TimeoutError):
            pass  # nobody is there to read it
        return response

    def _may_look(self, request: web.Request) -> bool:
        """Whether who began to look still may: a key may have been taken out."""
        try:
            self._permission.viewer(request)
        except web.HTTPException:
            return False
        return True

    async def _explain(self, request: web.Request) -> web.Response:
        caller = self._permission.viewer(request)
        if not is_same_origin(request):
            return _failed(403, "only this page itself may ask")
        return await self._answer(
            request, Question, lambda question: self._desk.explain(question, caller)
        )

    async def _act(self, request: web.Request) -> web.Response:
        caller = self._permission.viewer(request)
        refusal = self._permission.refusal(request, caller)
        actor = actor_at(request, caller)
        if refusal:
            await self._refuse(actor, refusal)
            return _failed(403, refusal)
        return await self._answer(request, Act, lambda act: self._desk.act(act, actor))

    async def _refuse(self, actor: Actor, reason: str) -> None:
        with contextlib.suppress(CallError):  # nobody is there to write it down
            await self._desk.refuse(actor, reason)

    async def _answer(
        self,
        request: web.Request,
        body: type[_Body],
        answer: Callable[[_Body], Awaitable[dict[str, Any]]],
    ) -> web.Response:
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return _failed(415, "the body must not be compressed")
        try:
            async with asyncio.timeout(_BODY_S):
                asked = body.model_validate_json(await request.read())
            return web.json_response(await answer(asked))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "body"
            return _failed(400, f"{where}: {first['msg']}")
        except CallError as error:
            return _failed(400, error.message)
        except TimeoutError:
            return _failed(408, f"the body did not come in {_BODY_S:g} s")


async def _head(_request: web.Request, response: web.StreamResponse) -> None:
    """To every answer of the server, errors and other paths' included."""
    response.headers.update(_HEADERS)


def _failed(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


async def _write(response: web.StreamResponse, part: bytes) -> None:
    async with asyncio.timeout(_WRITE_S):
        await response.write(part)
