"""The line that each request leaves in the log."""

import json
import logging
from dataclasses import replace

import grpc
import pytest

from router.live.request_line import prompt_of
from router.live.settings import LogSettings
from tests.collector import collector
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, address, ask, engine, fleet_of, route
from tests.router.live.scripted import drained, says, scripted
from tests.waiting import until
from wire.logs.lines import FIELDS, VALUE_CHARS_MAX
from wire.logs.writing import requests_log
from wire.tracing.settings import TracingSettings
from wire.vllm.inference_pb2 import GenerateRequest, TokenIds

pytestmark = pytest.mark.usefixtures("transport")

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def lines(monkeypatch):
    """What the lines say, as they come: those of requests, and those of answers."""
    found = []

    class Keeps(logging.Handler):
        def emit(self, record):
            found.append((record.message, getattr(record, FIELDS)))

        def handle(self, record):
            record.message = record.getMessage()
            self.emit(record)

    log, handler = requests_log(), Keeps()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield lambda kind: [fields for said, fields in found if said == kind]
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


async def test_a_request_is_a_line_with_the_id_that_all_know_it_by(lines):
    """The client's trailer, the router's line and the replica's have it; no prompt is said."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        asked = ask("17 secret", 5, model="fake", session_id="s", request_id="mine")
        metadata = (("x-spillway-tenant", "acme"), ("traceparent", PARENT))
        call = routed.inference.GenerateStream(asked, metadata=metadata)
        assert [message async for message in call]
        request_id = dict(await call.trailing_metadata())["x-spillway-request-id"]
        await until(lambda: lines("request") and lines("answer"))
        (request,), (answer,) = lines("request"), lines("answer")
        assert request["ttft_s"] <= request["duration_s"]
        assert {key: request[key] for key in request if not key.endswith("_s")} == {
            "method": "GenerateStream",
            "request_id": request_id,
            "client_request_id": "mine",
            "trace_id": PARENT.split("-")[1],
            "model": "fake",
            "session": "s",
            "tenant": "acme",
            "slo": None,
            "prompt": None,
            "reason": None,
            "code": "OK",
            "site": "home",
            "endpoint": f"home/{address(server)}",
            "attempts": 1,
            "resumed": 0,
            "prompt_tokens": len("17 secret"),
            "output_tokens": 5,
            "finish_reason": "length",
        }
        assert answer["request_id"] == request_id
        assert answer["attempt_id"] == f"{request_id}.1"
        assert answer["trace_id"] == request["trace_id"]
        assert (answer["code"], answer["output_tokens"]) == ("OK", 5)
        assert "secret" not in json.dumps([request, answer])


async def test_a_stream_that_went_on_elsewhere_is_one_line(lines):
    """With how often, and where it ended."""
    async with engine(itl_s=0.02) as home, engine(itl_s=0) as cloud:
        servers = {"home": [address(home)], "cloud": [address(cloud)]}
        async with route(servers, fleet=fleet_of(HOME, CLOUD)) as routed:
            call = routed.inference.GenerateStream(ask("7", 500))
            await call.read()
            await home.stop()
            assert [message async for message in drained(call)]
            await until(lambda: lines("request"))
            (line,) = lines("request")
            assert (line["site"], line["attempts"], line["resumed"]) == ("cloud", 2, 1)
            assert line["output_tokens"] == 500


async def test_what_is_refused_says_why(lines):
    """One that may not come in, and one that nobody can serve."""
    async with scripted(says("x")) as server, route({"home": [server.address]}) as routed:
        for asked, metadata in (
            (ask(), (("x-spillway-attempts-left", "no"),)),
            (ask(model="no"), ()),
        ):
            with pytest.raises(grpc.aio.AioRpcError):
                await routed.stream(asked, metadata=metadata)
        await until(lambda: len(lines("request")) == 2)
        first, second = lines("request")
        assert first["code"] == "INVALID_ARGUMENT"
        assert "x-spillway-attempts-left" in first["reason"]
        assert (second["code"], second["site"]) == ("NOT_FOUND", None)
        assert second["reason"]


async def test_a_prompt_is_there_where_it_is_asked_for(lines):
    """As text, or as its ids."""
    settings = replace(SETTINGS, log=LogSettings(prompts=True))
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, settings) as routed:
        await routed.stream(ask("17 secret"))
        asked = ask()
        asked.token_ids.ids[:] = [49, 55]
        await routed.stream(asked)
        await until(lambda: len(lines("request")) == 2)
        assert [line["prompt"] for line in lines("request")] == ["17 secret", "49 55"]


@pytest.mark.parametrize(
    "asked",
    [{"text": "x" * 100_000}, {"token_ids": TokenIds(ids=[7] * 100_000)}],
    ids=["text", "token ids"],
)
def test_no_more_of_a_prompt_is_kept_than_its_line_has_room_for(asked):
    """For as long as the stream lasts and the line waits; that there is more is seen."""
    kept = prompt_of(GenerateRequest(**asked).SerializeToString())
    assert len(kept) == VALUE_CHARS_MAX + 1


async def test_a_trace_that_begins_here_is_named_in_the_line(lines, monkeypatch):
    """So that whoever reads the line finds it."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    with collector() as there:
        settings = replace(SETTINGS, tracing=TracingSettings(there.endpoint))
        async with (
            engine(itl_s=0) as server,
            route({"home": [address(server)]}, settings) as routed,
        ):
            await routed.stream(ask())
            await there.until_spans(2)
            (line,) = lines("request")
            assert line["trace_id"] == there.spans[0].trace


async def test_without_lines_nothing_is_gathered():
    """Nobody asked for them."""
    assert not requests_log().isEnabledFor(logging.INFO)
