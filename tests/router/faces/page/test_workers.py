"""The page of a router of several workers shows what all of them do, and acts on all."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from tests.router.faces.page.stream import changes, read_event
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, address, ask, engine, fleet_of
from tests.router.live.hosting import received, workers
from tests.waiting import DEADLINE_S

WITH_PAGE = replace(SETTINGS, metrics_listen="127.0.0.1:0")


@pytest.fixture
async def host(tmp_path):
    """The receiver's origin, and two workers over one engine."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)], WITH_PAGE, fleet_of(HOME, CLOUD)) as found,
        workers(found[1]) as both,
    ):
        yield f"http://127.0.0.1:{found[0].metrics_port}", both


async def post(origin, path, body, **headers):
    """The status and the answer, from the page's own origin."""
    headers = {"Origin": origin} | {name.replace("_", "-"): text for name, text in headers.items()}
    async with (
        aiohttp.ClientSession() as http,
        http.post(origin + path, json=body, headers=headers) as response,
    ):
        return response.status, await response.json()


async def test_turns_and_decisions_of_all_workers_are_shown(host):
    """As sums, and each decision once; before anybody looked, and while somebody does."""
    origin, (one, other) = host
    await one.stream(ask(session_id="a"))
    await other.stream(ask(session_id="b"))
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/page/stream") as response:
        name, hello = await read_event(response)
        assert (name, [site["name"] for site in hello["sites"]]) == ("hello", ["home", "cloud"])
        assert [told["number"] for told in hello["frame"]["decisions"]] == [1, 2]
        home = hello["frame"]["sites"][0]
        assert (home["turns"], home["flow"], home["sessions"]) == (2, [2, 0, 0, 0], 2)
        assert home["endpoints"] == home["up"] == 1
        await other.stream(ask(session_id="c"))
        told = []
        async for frame in changes(response):
            told += frame["decisions"]
            if frame["sites"][0]["turns"] == 3:
                break
        assert told[-1]["number"] == 3
        assert {"home"} == {decision["site"] for decision in told}


async def test_the_page_outlives_a_worker(host):
    """Whose turns are no longer in the sums; those that are left answer."""
    origin, (one, other) = host
    await one.stream(ask())
    await other.stream(ask())
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/page/stream") as response:
        await read_event(response)
        await other.router.stop(0.0)
        async for frame in changes(response):
            if frame["sites"][0]["turns"] == 1:
                break
    status, said = await post(origin, "/page/explain", {"prompt": "7"})
    assert (status, said["action"], said["site"]) == (200, "SEND", "home")


async def test_what_is_done_by_the_page_holds_for_all_workers(host):
    """And what is refused is refused in the worker's words."""
    origin, both = host
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/page/stream") as response:
        _, hello = await read_event(response)
    drain = {"action": "drain", "site": "home"}
    assert (await post(origin, "/page/act", drain))[0] == 403  # without the token
    token = {"X_Spillway_Token": hello["token"]}
    status, said = await post(origin, "/page/act", drain, **token)
    assert (status, said["said"]) == (200, "home drains; 0 streams are open there.")
    async with asyncio.timeout(DEADLINE_S):
        for worker in both:
            await worker.state_where(lambda state: state.sites[0].draining)
    status, said = await post(origin, "/page/act", drain | {"site": "moon"}, **token)
    assert (status, "there is no site" in said["error"]) == (400, True)


async def test_a_worker_that_is_late_is_shown_as_it_stood(host, monkeypatch):
    """Sums do not fall and rise with who answers in time, which would look like turns."""
    origin, (one, other) = host
    await one.stream(ask())
    await other.stream(ask())
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/page/stream") as response:
        await read_event(response)
        never, seen = asyncio.Event(), 0
        monkeypatch.setattr("router.faces.page.workers.LOOK_S", 0.05)
        monkeypatch.setattr("router.faces.page.workers.KEPT_S", 1_000.0)
        monkeypatch.setattr(other.router._feed.listener, "answer", lambda *_: never.wait())
        async for frame in changes(response):
            assert frame["sites"][0]["turns"] == 2
            seen += 1
            if seen == 3:
                break
        never.set()


async def test_without_a_worker_the_page_says_so(host):
    """It shows its sites, of which nothing is known, and the box has no answer."""
    origin, both = host
    for worker in both:
        await worker.router.stop(0.0)
    said = ""
    async with asyncio.timeout(DEADLINE_S):
        while "no worker answers" not in said:
            status, answer = await post(origin, "/page/explain", {"prompt": "7"})
            said = answer.get("error", "")
    assert status == 400
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/page/stream") as response:
        await read_event(response)
        async for frame in changes(response):
            if not any(site["endpoints"] for site in frame["sites"]):
                break
