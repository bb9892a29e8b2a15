"""Batches through a real router over engines that count."""

import asyncio
import contextlib
import dataclasses
import gc
import json

import aiohttp
import pytest

from router.policy.fleet import Fleet, Limits, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from spillway import cli
from spillway.batch.errors import BatchError, UnreachableError
from spillway.batch.line import BatchLine
from spillway.batch.results import Results
from spillway.batch.run import ATTEMPTS_MAX, Batch, Terms
from spillway.batch.sender import Later, Sender
from spillway.batch.source import Source
from spillway.commands.failure import Outcome
from tests.router.faces.openai.conftest import faced
from tests.router.live.conftest import HOME, address, engine
from tests.router.live.counting import counted_on
from tests.spillway.batch.asking import answers, request, write_requests
from tests.waiting import DEADLINE_S, until

TERMS = Terms(parallel_max=64, deadline_s=DEADLINE_S, patience_s=DEADLINE_S)
SLO = SloClass("chat", ttft_ns=NS_PER_S, itl_ns=NS_PER_S)
BATCH = SloClass("batch", ttft_ns=NS_PER_S, itl_ns=NS_PER_S, priority=2)
FLEET = Fleet((HOME,), (SLO, BATCH), "chat")


@pytest.fixture
async def running():
    """A router with a class for batches, over one engine."""
    async with engine(itl_s=0) as server, faced({"home": [address(server)]}, fleet=FLEET) as face:
        yield face


def url_of(face):
    return f"http://127.0.0.1:{face.routed.router.openai_port}/v1"


async def batch(folder, url, headers=None, terms=TERMS):
    """Answers the requests in a folder."""
    source = Source(folder / "in")
    with Results(folder / "out") as results:
        async with aiohttp.ClientSession() as http:
            sender = Sender(http, url, headers or {}, terms.deadline_s)
            await Batch(sender, results, terms).run(source.without(results.done))
    return answers(folder / "out")


async def command(*arguments):
    """The exit code of the command, run beside this event loop."""
    return await asyncio.to_thread(cli.run, ["batch", *map(str, arguments)])


@contextlib.asynccontextmanager
async def served(complete=None):
    """The URL of a server of completions, or of nothing."""
    app = aiohttp.web.Application()
    if complete is not None:
        app.router.add_post("/v1/completions", complete)
    runner = aiohttp.web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_each_request_has_its_answer_or_its_error(running, tmp_path, capsys):
    """As OpenAI's batches have it; the class is the one that is served last."""
    chat = {
        "custom_id": "chat",
        "url": "/v1/chat/completions",
        "body": {"model": "fake", "messages": [{"role": "user", "content": "7"}], "max_tokens": 2},
    }
    asked = [request(f"good-{n}", prompt=str(n)) for n in range(50)]
    asked += [request("bad", max_tokens=-1), request("unknown", model="none"), chat]
    write_requests(tmp_path / "in", asked)
    base = ("--base-url", url_of(running), "--json")
    assert await command(tmp_path / "in", tmp_path / "out", *base) == Outcome.DONE
    found = answers(tmp_path / "out")
    assert set(found) == {one["custom_id"] for one in asked}
    for number in range(50):
        response = found[f"good-{number}"]["response"]
        assert response["status_code"] == 200
        assert response["body"]["choices"][0]["text"] == counted_on(str(number), 3)
        assert found[f"good-{number}"]["error"] is None
    assert found["bad"]["response"]["status_code"] == 400
    assert found["unknown"]["response"]["status_code"] == 404
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["answered"], told["before"]) == (53, 53, 0)
    assert told["failed"] == sum(a["response"]["status_code"] != 200 for a in found.values())


async def test_it_keeps_to_the_room_that_there_is(tmp_path):
    """A router that refuses most of it at first: each is answered in the end, and once."""
    limits = Limits(patience_ns=NS_PER_MS, retry_after_min_ns=50 * NS_PER_MS)
    fleet = dataclasses.replace(FLEET, limits=limits)
    write_requests(tmp_path / "in", [request(str(n), max_tokens=5) for n in range(60)])
    async with (
        engine(itl_s=0.01, max_running=2) as server,
        faced({"home": [address(server)]}, fleet=fleet) as face,
    ):
        headers = {"x-spillway-slo": "batch"}
        found = await batch(tmp_path, url_of(face), headers)
    assert len(found) == 60
    assert {one["response"]["status_code"] for one in found.values()} == {200}


async def test_it_waits_for_a_router_that_is_away(running, tmp_path):
    """What was open when it went is asked again."""
    write_requests(tmp_path / "in", [request(str(n)) for n in range(200)])
    port, cut = running.routed.router.openai_port, 0

    async def through(reader, writer):
        nonlocal cut
        if cut < 5:  # refused, as while nobody listens
            cut += 1
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", port)

        async def carry(source, sink):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

    async with await asyncio.start_server(through, "127.0.0.1", 0) as door:
        url = f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}"
        found = await batch(tmp_path, url)
    assert len(found) == 200
    assert cut == 5


async def test_it_gives_up_on_a_router_that_stays_away(tmp_path):
    """With the last word that it had."""
    write_requests(tmp_path / "in", [request("a")])
    patient = dataclasses.replace(TERMS, patience_s=0.0)
    with pytest.raises(UnreachableError, match="is not reached"):
        await batch(tmp_path, "http://127.0.0.1:1/v1", terms=patient)
    arguments = (tmp_path / "in", tmp_path / "out", "--base-url", "http://127.0.0.1:1/v1")
    assert await command(*arguments, "--patience", "0") == Outcome.UNREACHABLE


def test_a_router_that_is_away_for_days_is_waited_for():
    """The pauses grow to a bound, however many there have been."""
    batch = Batch(None, None, TERMS)
    batch._silences = 1_000_000
    batch._put_off(Later("nobody is there", 1.0, is_refusal=False), 0.0)
    assert batch._pace.resume_s < float("inf")


async def test_what_ends_several_at_once_is_told_once():
    """By the batch alone: nothing is left for the event loop to complain of."""

    class Refuses:
        async def send(self, _request):
            raise BatchError("no")

    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    lines = (BatchLine(str(number), "/v1/completions", {}) for number in range(10))
    with pytest.raises(BatchError, match="no"):
        await Batch(Refuses(), None, TERMS).run(lines)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_a_long_answer_under_way_is_waited_for_however_many_are_refused(tmp_path):
    """The service lives: it is only busy with what it has begun."""
    refused = asyncio.Semaphore(0)

    async def complete(asked):
        if (await asked.json())["prompt"] == "long":
            for _ in range(2):
                await refused.acquire()
        elif len(turned_away) < 2:
            turned_away.append(429)
            refused.release()
            return aiohttp.web.json_response({}, status=429, headers={"Retry-After-Ms": "50"})
        return aiohttp.web.json_response({"choices": []})

    turned_away = []
    write_requests(tmp_path / "in", [request("a", prompt="long"), request("b", prompt="short")])
    async with served(complete) as url:
        found = await batch(tmp_path, url, terms=dataclasses.replace(TERMS, patience_s=0.0))
    assert {one["response"]["status_code"] for one in found.values()} == {200}


async def test_what_every_request_would_be_told_ends_it(running, tmp_path, capsys):
    """A class that is not there is nobody's answer."""
    write_requests(tmp_path / "in", [request("a")])
    arguments = (tmp_path / "in", tmp_path / "out", "--base-url", url_of(running), "--slo", "none")
    assert await command(*arguments) == Outcome.REFUSED
    assert "there is no class 'none'" in capsys.readouterr().err
    assert answers(tmp_path / "out") == {}


async def test_a_server_of_something_else_is_told_apart(tmp_path):
    """A page is no answer."""
    write_requests(tmp_path / "in", [request("a")])
    async with served() as url:
        with pytest.raises(BatchError, match="is it OpenAI's API"):
            await batch(tmp_path, url)


async def test_what_nobody_answers_in_time_has_its_line_after_some_attempts(tmp_path):
    """So that the batch ends, and another run would not ask it again."""
    asked = 0

    async def stays_silent(_request):
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()

    write_requests(tmp_path / "in", [request("a")])
    async with served(stays_silent) as url:
        found = await batch(tmp_path, url, terms=dataclasses.replace(TERMS, deadline_s=0.5))
    assert asked <= ATTEMPTS_MAX
    assert found["a"]["error"]["code"] == "timeout"
    assert found["a"]["response"] is None


async def test_an_interrupted_batch_goes_on_where_it_was(running, tmp_path):
    """Cancelled in its middle, and run again: each is answered once."""
    write_requests(tmp_path / "in", [request(str(n)) for n in range(300)])
    out = tmp_path / "out"
    task = asyncio.create_task(batch(tmp_path, url_of(running)))
    await until(lambda: out.exists() and out.read_bytes().count(b"\n") > 20)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    before = len(answers(out))
    assert len(await batch(tmp_path, url_of(running))) == 300
    assert before < 300


@pytest.mark.parametrize(
    "url", ["ftp://x", "127.0.0.1:7080", "http://", "http://x:70000", "http://[x"]
)
async def test_an_address_that_is_none_is_refused(tmp_path, url, capsys):
    """Before anything is read."""
    code = await command(tmp_path / "in", tmp_path / "out", "--base-url", url)
    assert code == Outcome.USAGE
    assert "--base-url" in capsys.readouterr().err


async def test_a_key_is_not_carried_in_plaintext_to_another_machine(tmp_path, monkeypatch, capsys):
    """Whoever is on the way would have it."""
    monkeypatch.setenv("SPILLWAY_API_KEY", "secret")
    code = await command(tmp_path / "in", tmp_path / "out", "--base-url", "http://10.0.0.1:7080/v1")
    assert code == Outcome.USAGE
    told = capsys.readouterr().err
    assert "plaintext" in told
    assert "secret" not in told
