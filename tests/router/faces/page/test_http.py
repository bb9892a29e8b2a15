"""What the page's server gives, and to whom; without a browser."""

import asyncio
import time
import zlib
from dataclasses import replace

import aiohttp
import pytest

from router.faces.page import feed
from router.live.key_file import line_of
from router.policy.api_key import ApiKey, digest_of, id_of, key_text
from tests.router.faces.page.stream import read_event, read_frame
from tests.router.live.conftest import HOME, SETTINGS, address, ask, engine, route
from tests.router.live.keyed import ACME, GONE, OPS, route_keyed
from tests.waiting import DEADLINE_S

READER = key_text(b"reader", "k" * 43)
WITH_PAGE = replace(SETTINGS, metrics_listen="127.0.0.1:0")


class Site:
    """The page of one router, and who asks for it."""

    def __init__(self, routed, http):
        self.routed = routed
        self.http = http
        self.origin = f"http://127.0.0.1:{routed.router.metrics_port}"

    def get(self, path, **kwargs):
        return self.http.get(self.origin + path, **kwargs)

    async def post(self, path, body, **headers):
        """The status and the answer; from the page's own origin unless a header says otherwise."""
        headers = {"Origin": self.origin} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with self.http.post(self.origin + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def token(self, **headers):
        return (await self.events(1, **headers))[0][1]["token"]

    async def events(self, count, **headers):
        """The first events of the stream, with their names."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.get("/page/stream", headers=headers) as response:
            return [await read_event(response) for _ in range(count)]


@pytest.fixture
async def site():
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}, WITH_PAGE) as routed,
        aiohttp.ClientSession(auto_decompress=True) as http,
    ):
        yield Site(routed, http)


async def test_the_stream_tells_the_fleet_and_then_its_state(site):
    """A turn that ran is in a later frame: where it went, and why."""
    async with site.get("/page/stream") as response:
        name, hello = await read_event(response)
        assert name == "hello"
        assert [one["name"] for one in hello["sites"]] == ["home", "cloud"]
        assert hello["router"] == site.routed.router.id
        assert hello["classes"][0] == {"name": "chat", "ttft_s": 10.0, "itl_s": 1.0}
        await site.routed.stream(ask(session_id="s"))
        frame, told = None, []
        while not told:
            frame = await read_frame(response, frame)
            told = frame["decisions"]
        assert (told[0]["site"], told[0]["action"], told[0]["number"]) == ("home", "send", 1)
        assert told[0]["reason"]
        assert told[0]["session"] not in {"", "s"}  # a handle: a session's name is its own
        assert frame["sites"][0]["flow"] == [1, 0, 0, 0]


async def test_a_page_just_opened_has_the_past(site):
    """The decisions kept and the samples of latency, from before anybody looked."""
    await site.routed.stream(ask())
    ((_, hello),) = await site.events(1)
    assert len(hello["frame"]["decisions"]) == 1
    assert len(hello["history"][0][1]) == 2


async def test_parts_are_compressed_once_and_read_by_any_viewer(site):
    """What a browser would inflate is what another reads plain."""
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.get(f"{site.origin}/page/stream", headers={"Accept-Encoding": "gzip"}) as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        inflate, text = zlib.decompressobj(wbits=31), b""
        while text.count(b"\n\n") < 3:
            text += inflate.decompress(await response.content.readany())
    assert text.startswith(b"event: hello\n")
    (name, _), _ = await site.events(2, Accept_Encoding="identity")
    assert name == "hello"


async def test_so_many_may_look_and_no_more(site, monkeypatch):
    """Whoever goes makes room."""
    monkeypatch.setattr(feed, "VIEWERS_MAX", 1)
    async with site.get("/page/stream") as first:
        await read_event(first)
        async with site.get("/page/stream") as second:
            assert second.status == 503
    while True:
        async with site.get("/page/stream") as again:
            if again.status == 200:
                return


async def test_every_file_is_served_under_a_strict_policy(site):
    """Nothing inline, nothing from elsewhere, in no frame; unchanged files are not sent again."""
    for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg"):
        async with site.get(path) as response:
            assert response.status == 200
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            tag = response.headers["ETag"]
        async with site.get(path, headers={"If-None-Match": tag}) as response:
            assert response.status == 304
    for path in ("/page/nothing.js", "/page/..%2fserver.py", "/page/server.py"):
        async with site.get(path) as response:
            assert response.status == 404


async def test_a_site_is_drained_by_the_page(site):
    """By somebody at this machine, with the token that the page was given."""
    token = await site.token()
    body = {"action": "drain", "site": "home"}
    status, said = await site.post("/page/act", body, X_Spillway_Token=token)
    assert (status, said["said"]) == (200, "home drains; 0 streams are open there.")
    assert (await site.routed.state()).sites[0].draining
    status, _ = await site.post("/page/act", {**body, "action": "undrain"}, X_Spillway_Token=token)
    assert status == 200
    assert not (await site.routed.state()).sites[0].draining


def an_hour_from_now():
    return time.time() + 3_600


async def test_replicas_are_lent_and_taken_back_by_the_page(site):
    """And frames say what is lent, until when and why."""
    async with engine(itl_s=0) as second:
        site.routed.router._roster.set_site(
            "home", {one.address for one in site.routed.router._roster} | {address(second)}
        )
        await site.routed.until_up(2)
        token, until = await site.token(), an_hour_from_now()
        body = {"action": "lend", "site": "home", "replicas": 1, "until_unix_s": until}
        lend = {**body, "reason": "training"}
        status, said = await site.post("/page/act", lend, X_Spillway_Token=token)
        assert (status, said["said"]) == (200, "home lends 1 of 2 replicas.")
        home, cloud = (await site.events(1))[0][1]["frame"]["sites"]
        assert home["lent"] == [1, 2, "away", int(until), 0, "training", ""]
        assert cloud["lent"] is None
        assert [one[-1] for one in home["each"]].count(1) == 1
        back = {"action": "reclaim", "site": "home"}
        status, said = await site.post("/page/act", back, X_Spillway_Token=token)
        assert (status, said["said"]) == (200, "home lends nothing.")
        assert (await site.events(1))[0][1]["frame"]["sites"][0]["lent"] is None


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"replicas": 0}, "at least one replica"),
        ({"replicas": 7}, "it has 1 replica"),
        ({"replicas": -1}, "replicas"),
        ({"until_unix_s": 5}, "in the past"),
        ({"until_unix_s": "tomorrow"}, "until_unix_s"),
        ({"until_unix_s": 9e9}, "at most 14 days"),
        ({"reason": "x" * 201}, "reason"),
        ({"site": "cloud"}, "only home lends"),
        ({"site": "moon"}, "there is no site"),
    ],
)
async def test_what_cannot_be_lent_is_refused_to_the_page(bad, says):
    """In the words that the command would get."""
    async with (
        engine(itl_s=0) as home,
        engine(itl_s=0) as cloud,
        route({"home": [address(home)], "cloud": [address(cloud)]}, WITH_PAGE) as routed,
        aiohttp.ClientSession() as http,
    ):
        site = Site(routed, http)
        await site.routed.until_up(2)
        token = await site.token()
        good = {"action": "lend", "site": "home", "replicas": 1}
        body = {**good, "until_unix_s": an_hour_from_now(), **bad}
        status, said = await site.post("/page/act", body, X_Spillway_Token=token)
        assert status == 400
        assert says in said["error"]
        assert not (await site.routed.state()).sites[0].HasField("lent")


@pytest.mark.parametrize(
    "bad",
    [
        {"X_Spillway_Token": "guessed"},
        {"X_Spillway_Token": "\u00e9"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"X_Forwarded_For": "203.0.113.9"},
    ],
)
async def test_nobody_else_may_act(site, bad):
    """Without the token, from another origin, or through a proxy."""
    headers = {"X_Spillway_Token": await site.token()} | bad
    status, said = await site.post("/page/act", {"action": "drain", "site": "home"}, **headers)
    assert status == 403
    assert said["error"]
    assert not (await site.routed.state()).sites[0].draining


@pytest.fixture
async def keyed_site():
    """The page of a router that wants keys."""
    async with (
        engine(itl_s=0) as server,
        route_keyed({"home": [address(server)]}, settings=WITH_PAGE) as routed,
        aiohttp.ClientSession() as http,
    ):
        yield Site(routed, http)


def password(key):
    """What a browser sends once it was asked for a key."""
    return aiohttp.encode_basic_auth("anybody", key)


async def test_where_keys_are_wanted_the_page_is_for_operators(keyed_site):
    """A browser without one is told to ask for it; a tenant's key shows nothing of the others."""
    question = {"prompt": "7"}
    for path in ("/", "/page/stream"):
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Basic nonsense"}, 401),
            ({"Authorization": password("unknown")}, 401),
            ({"Authorization": password(GONE)}, 401),
            ({"Authorization": password(ACME)}, 403),
        ):
            async with keyed_site.get(path, headers=headers) as response:
                assert response.status == status
                assert response.headers.get("WWW-Authenticate", "Basic").startswith("Basic")
    async with keyed_site.get("/") as response:
        assert response.headers["WWW-Authenticate"].startswith("Basic ")
    for headers in ({}, {"Authorization": password(ACME)}):
        body = {"action": "drain", "site": "home"}
        for path, asked in (("/page/explain", question), ("/page/act", body)):
            whole = {"Origin": keyed_site.origin, **headers}
            async with keyed_site.http.post(
                keyed_site.origin + path, json=asked, headers=whole
            ) as response:
                assert response.status in {401, 403}
    assert not (await keyed_site.routed.state()).sites[0].draining


async def test_an_operator_may_act_from_anywhere(keyed_site):
    """With its key, and from the page all the same."""
    shown = {"Authorization": password(OPS), "X_Forwarded_For": "203.0.113.9"}
    token = await keyed_site.token(**shown)
    assert token
    body = {"action": "drain", "site": "home"}
    status, _ = await keyed_site.post("/page/act", body, **shown)
    assert status == 403
    status, _ = await keyed_site.post("/page/act", body, X_Spillway_Token=token, **shown)
    assert status == 200
    assert (await keyed_site.routed.state()).sites[0].draining


async def test_a_reader_looks_and_may_not_act(keyed_site):
    """With a key that says so; nor with the token of an operator's page."""
    keys = keyed_site.routed.router._callers._keys
    line = line_of(ApiKey(id_of(READER), digest_of(READER), "ops", reader=True))
    keys._path.write_text(f"{keys._path.read_text()}\n{line}\n")
    keys.look()
    shown = {"Authorization": password(READER)}
    assert await keyed_site.token(**shown) == ""
    token = await keyed_site.token(Authorization=password(OPS))
    body = {"action": "drain", "site": "home"}
    status, said = await keyed_site.post("/page/act", body, X_Spillway_Token=token, **shown)
    assert (status, said["error"]) == (403, "this key is for looking: acting is for operators")
    assert not (await keyed_site.routed.state()).sites[0].draining


async def test_a_page_ends_with_the_key_that_it_was_opened_with(keyed_site):
    """Taken out of the file, it shows nothing more."""
    keys = keyed_site.routed.router._callers._keys
    before = keys._path.read_text()
    line = line_of(ApiKey(id_of(READER), digest_of(READER), "ops", reader=True))
    keys._path.write_text(f"{before}\n{line}\n")
    keys.look()
    shown = {"Authorization": password(READER)}
    async with keyed_site.get("/page/stream", headers=shown) as response:
        await read_event(response)
        await read_event(response)
        keys._path.write_text(before)
        keys.look()
        async with asyncio.timeout(DEADLINE_S):
            while await response.content.readline():
                pass


async def test_a_page_that_is_open_begins_anew_where_the_fleet_is_another(site):
    """Its frames name sites by their place."""
    async with site.get("/page/stream") as response:
        _, hello = await read_event(response)
        assert [one["name"] for one in hello["sites"]] == ["home", "cloud"]
        router = site.routed.router
        router._page.adopt(replace(router._core._core.fleet, sites=(HOME,)))
        async with asyncio.timeout(DEADLINE_S):
            while await response.content.readline():
                pass
    name, hello = (await site.events(1))[0]
    assert (name, [one["name"] for one in hello["sites"]]) == ("hello", ["home"])


async def test_whoever_may_not_act_gets_no_token(site):
    assert await site.token(X_Forwarded_For="203.0.113.9") == ""


async def test_a_name_that_was_rebound_to_this_machine_gets_nothing(site):
    """Where nobody needs a key: no page, no feed and no metrics, which its own page would read."""
    for path in ("/", "/page/stream", "/metrics"):
        async with site.get(path, headers={"Host": "rebound.example"}) as response:
            assert response.status == 421
            assert "router.hosts" in await response.text()


async def test_a_name_that_the_fleet_file_lists_is_this_machines(site):
    """However it is written."""
    settings = replace(WITH_PAGE, hosts=("Desk.example",))
    async with route({}, settings) as routed:
        named = Site(routed, site.http)
        async with named.get("/metrics", headers={"Host": "desk.EXAMPLE:7071"}) as response:
            assert response.status == 200


async def test_the_box_is_answered(site):
    """As Explain answers, and without any effect."""
    status, said = await site.post("/page/explain", {"prompt": "7", "slo": "batch"})
    assert (status, said["action"], said["site"], said["slo"]) == (200, "SEND", "home", "batch")
    assert len(said["candidates"]) == 1
    assert sum(one.turns for one in (await site.routed.state()).sites) == 0


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "prompt: Field required"),
        ({"prompt": "7", "max_new_tokens": 0}, "max_new_tokens"),
        ({"prompt": "7", "session": "x" * 257}, "session"),
        ({"prompt": "7", "wish": 1}, "wish"),
        ([], "body"),
    ],
)
async def test_a_question_that_is_none_is_refused_by_name(site, body, error):
    status, said = await site.post("/page/explain", body)
    assert status == 400
    assert error in said["error"]


async def test_an_unknown_site_or_act_is_refused(site):
    token = await site.token()
    for body in ({"action": "drain", "site": "moon"}, {"action": "burn", "site": "home"}):
        status, said = await site.post("/page/act", body, X_Spillway_Token=token)
        assert status == 400
        assert said["error"]


async def test_a_page_is_let_go_when_the_router_stops(site):
    """Its stream ends, and nothing waits for it."""
    async with site.get("/page/stream") as response:
        await read_event(response)
        await site.routed.router.stop()
        async with asyncio.timeout(DEADLINE_S):
            await response.read()
