"""A session and the cookie that keeps it where its cache is, whichever router it reaches."""

import contextlib
import time
from dataclasses import replace

import pytest

from tests.router.live.conftest import SETTINGS, address, ask, engine, route
from tests.router.live.counting import counted_on
from wire.spillway.v1 import fleet_pb2
from wire.spillway.v1.cookie import COOKIE_KEY

TOKENS = 512


def text_of(session):
    """A prompt of its own: what all sessions share would count nowhere."""
    return f"{session} 7 ".ljust(4 * TOKENS, session[-1])


@pytest.fixture
def settings(tmp_path):
    """Those of a router that has a key."""
    file = tmp_path / "keys"
    file.write_text("k" * 40)
    return replace(SETTINGS, lease_key_file=file)


async def turn(routed, session, *metadata):
    """One turn: where it went, and the cookie that came back."""
    text = text_of(session)
    call = routed.inference.GenerateStream(
        ask(text, 3, session_id=session), metadata=metadata or None
    )
    said = "".join([message.outputs.text async for message in call])
    assert said == counted_on(text, 3)
    trailers = dict(await call.trailing_metadata())
    return trailers["x-spillway-endpoint"], trailers.get(COOKIE_KEY, "")


@contextlib.asynccontextmanager
async def two_routers(settings, count=4):
    """Over the same engines."""
    async with contextlib.AsyncExitStack() as opened:
        engines = [await opened.enter_async_context(engine(itl_s=0)) for _ in range(count)]
        ways = {"home": [address(one) for one in engines]}
        one = await opened.enter_async_context(route(ways, settings))
        two = await opened.enter_async_context(route(ways, settings))
        yield one, two


async def known_at(routed, session, *metadata):
    """The endpoints where a router takes the session's cache to be."""
    asked = fleet_pb2.ExplainRequest(request=ask(text_of(session), 3, session_id=session))
    decision = await routed.fleet.Explain(asked, metadata=metadata or None)
    return [one.endpoint for one in decision.candidates if one.cached_tokens == TOKENS - 1]


async def test_a_cookie_tells_another_router_where_the_cache_is(settings):
    """Which has never seen the session; it holds for as long as the client brings it."""
    async with two_routers(settings) as (one, two):
        for number in range(4):
            session = f"s{number}"
            place, cookie = await turn(one, session)
            assert await known_at(two, session) == []
            assert await known_at(two, session, (COOKIE_KEY, cookie)) == [place]
            assert await known_at(two, f"t{number}", (COOKIE_KEY, cookie)) == []
            there, _ = await turn(two, session, (COOKIE_KEY, cookie))
            assert await known_at(two, session) == [there]


async def test_a_newer_cookie_wins_over_what_a_router_remembers(settings):
    """The session has been elsewhere since this router last saw it; an older one does not."""
    async with two_routers(settings) as (one, two):
        place, first = await turn(one, "s")
        away = two.router._core._core._sessions
        other = next(e.name for e in two.router._roster if e.name != place)
        away.place("s", other, time.monotonic_ns()).cached_tokens = TOKENS
        ((_, newer),) = two.router._cookies.of("s", "")
        assert other not in await known_at(one, "s")
        assert other in await known_at(one, "s", (COOKIE_KEY, newer))
        assert await known_at(two, "s", (COOKIE_KEY, first)) == [other]


async def test_a_bad_cookie_is_as_none(settings, tmp_path):
    """Forged, foreign, of another session, or of an endpoint that is gone: the answer comes."""
    theirs = tmp_path / "others"
    theirs.write_text("x" * 40)
    async with (
        two_routers(settings, 2) as (one, _),
        engine(itl_s=0) as away,
        route({"home": [address(away)]}, replace(settings, lease_key_file=theirs)) as foreign,
        route({"home": [address(away)]}, settings) as other,
    ):
        _, foreign_cookie = await turn(foreign, "s")
        _, gone = await turn(other, "s")
        _, another = await turn(one, "t")
        usual, _ = await turn(one, "u")
        for cookie in ("", "no cookie", "AAAA", "A" * 5_000, foreign_cookie, gone, another):
            place, given = await turn(one, "s", (COOKIE_KEY, cookie))
            assert place.startswith("home/")
            assert given
        assert (await turn(one, "u"))[0] == usual


async def test_without_a_key_there_are_no_cookies():
    """And none is believed."""
    async with two_routers(SETTINGS, 2) as (one, _):
        place, cookie = await turn(one, "s")
        assert cookie == ""
        assert (await turn(one, "s", (COOKIE_KEY, "x")))[0] == place


async def test_a_cookie_holds_at_every_level(settings):
    """A router below that has forgotten a session is told by the one above where it was."""
    async with contextlib.AsyncExitStack() as opened:
        engines = [await opened.enter_async_context(engine(itl_s=0)) for _ in range(2)]
        ways = {"home": [address(one) for one in engines]}
        below = await opened.enter_async_context(route(ways, settings))
        upper = {"home": [f"127.0.0.1:{below.router.port}"]}
        above = await opened.enter_async_context(route(upper, settings))
        _, cookie = await turn(above, "s")
        lower = below.router._core._core._sessions
        placed = lower.get("s").endpoint
        told = []
        look_up = lower.look_up
        lower.look_up = lambda name, hint, now: (told.append(hint), look_up(name, hint, now))[1]
        await turn(above, "s", (COOKIE_KEY, cookie))
        assert told[0].endpoint == placed
        assert told[0].cached_tokens == lower.get("s").cached_tokens
